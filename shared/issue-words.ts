import type { z } from 'zod';

/** What is quoted of a wrong value. */
const QUOTED_LENGTH = 64;
/** So many letters may be wrong in a word that was meant. */
const TYPING_ERRORS = 2;

/** What is wrong with a value in words, as zod's `error`: its own texts are for programmers. */
const issueWords: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_value':
      return noneOf(issue.input, issue.values.map(String));
    case 'invalid_type':
      return issue.input === undefined ? 'is missing' : `must be ${TYPES[issue.expected] ?? issue.expected}`;
    case 'too_small':
      return issue.origin === 'string' && issue.minimum === 1
        ? 'must not be empty'
        : `must be ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${UNITS[issue.origin] ?? ''}`;
    case 'too_big':
      return `must be ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${UNITS[issue.origin] ?? ''}`;
    case 'unrecognized_keys':
      return 'there is no such field';
    default:
      return undefined;
  }
};

/** For `safeParse`, wherever the fault is told to a client or a user. */
export const IN_WORDS = { error: issueWords } as const;

/** Which field is wrong, and why: of a field that is not known and of a wrong key of a map, the field itself. */
export function faultOf(issue: z.core.$ZodIssue | undefined): { path: PropertyKey[]; message: string } {
  if (issue === undefined) return { path: [], message: 'is not valid' };
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
  // For a wrong key of a map zod has the reason one level deeper.
  const [reason] = issue.code === 'invalid_key' ? issue.issues : [];
  return { path: [...issue.path, ...unknown], message: (reason ?? issue).message };
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

const UNITS: Readonly<Record<string, string>> = { string: ' characters', array: ' values' };

/** That a value is none of those that may be chosen, and which one was meant. */
export function noneOf(value: unknown, choices: readonly string[]): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing');
  const quoted = JSON.stringify(text.length > QUOTED_LENGTH ? `${text.slice(0, QUOTED_LENGTH)}…` : text);
  const meant = nearest(text, choices);
  return `${quoted} is none of ${choices.join(', ')}${meant === undefined ? '' : `; did you mean ${meant}?`}`;
}

/** The choice that a text was meant to be, where it begins like one or has few wrong letters. */
function nearest(text: string, choices: readonly string[]): string | undefined {
  const word = text.slice(0, QUOTED_LENGTH).toLowerCase();
  if (word.length < 2) return undefined;
  let best: { choice: string; wrong: number } | undefined;
  for (const choice of choices) {
    const wrong = choice.toLowerCase().startsWith(word) ? 0.5 : wrongLetters(word, choice.toLowerCase());
    if (wrong <= Math.min(TYPING_ERRORS, choice.length / 2) && wrong < (best?.wrong ?? Infinity))
      best = { choice, wrong };
  }
  return best?.choice;
}

/** Letters to add, drop or change to make one word of the other (Levenshtein). */
function wrongLetters(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (const [i, letter] of [...one].entries()) {
    const next = [i + 1];
    for (let j = 0; j < other.length; j += 1) {
      const changed = (row[j] ?? 0) + (letter === other[j] ? 0 : 1);
      next.push(Math.min(changed, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}
