import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

interface Rule {
  id: string;
  text: string;
}

/** `- **[REG-1]** …`, up to the next rule, heading or blank line. */
function rulesIn(page: string): Rule[] {
  const rules = readFileSync(page, 'utf8').matchAll(
    /^- \*\*\[([A-Z0-9]+-\d+)\]\*\* ((?:.+\n)(?: {2}.+\n)*)/gm,
  );
  return Array.from(rules, ([, id = '', text = '']) => ({ id, text: text.replaceAll(/\s+/g, ' ').trim() }));
}

/** The numbers of each family, in the order of the page. */
function families(of: readonly Rule[]): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const { id } of of) {
    const [family = '', number] = id.split('-');
    found.set(family, [...(found.get(family) ?? []), Number(number)]);
  }
  return found;
}

/** Every rule's number that begins a test's title, and the files in which it does. */
function idsInTests(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const file of readdirSync('test', { encoding: 'utf8', recursive: true })) {
    if (!file.endsWith('.test.ts')) continue;
    for (const [, id = ''] of readFileSync(`test/${file}`, 'utf8').matchAll(/['"`]\[([A-Z0-9]+-\d+)\] /g)) {
      found.set(id, [...(found.get(id) ?? []), file]);
    }
  }
  return found;
}

const pages = ['docs/PROTOCOL.md', 'docs/OPERATIONS.md', 'docs/HTTP.md'];
const rules = pages.flatMap(rulesIn);
const tested = idsInTests();

describe('the numbered rules', () => {
  it('are there, each once', () => {
    expect(rules.length).toBeGreaterThan(100);
    const ids = rules.map(({ id }) => id);
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
  });

  it('count from 1 without holes', () => {
    for (const [family, numbers] of families(rules)) {
      expect(numbers, family).toEqual(Array.from(numbers, (_, index) => index + 1));
    }
  });

  it.each(pages)('of %s stand in one form only', (page) => {
    const anyForm = readFileSync(page, 'utf8').match(/^\s*[-*] .{0,2}\[[A-Z0-9]+-\d+\]/gm) ?? [];
    expect(anyForm.length).toBe(rulesIn(page).length);
    expect(anyForm.length).toBeGreaterThan(50);
  });

  it('are known where a test names one', () => {
    const known = new Set(rules.map(({ id }) => id));
    const unknown = [...tested].filter(([id]) => !known.has(id));
    expect(unknown, 'tests of rules that stand in no document').toEqual([]);
  });

  it('are each tested, or say where or why not', () => {
    const untested = rules.filter(
      ({ id, text }) => !tested.has(id) && !/\(not tested: .+\)$|\(test\/\S+\.test\.ts\)$/.test(text),
    );
    expect(untested.map(({ id }) => id)).toEqual([]);
  });

  it('name test files that exist, and do not call tested what is not, nor the other way round', () => {
    for (const { id, text } of rules) {
      const file = /\((test\/\S+\.test\.ts)\)$/.exec(text)?.[1];
      if (file !== undefined) expect(existsSync(file), `${id}: ${file}`).toBe(true);
      if (text.includes('(not tested:')) expect(tested.has(id), id).toBe(false);
    }
  });
});
