import { z } from 'zod';
import { LIMITS } from './limits.ts';

/** True where a string has no half of a surrogate pair, so that it survives UTF-8 as it is. */
export function isWellFormed(text: string): boolean {
  return text.isWellFormed();
}

/** Where and why a value cannot be stored as JSON. */
interface JsonFault {
  path: PropertyKey[];
  why: string;
}

/** What was found of a value that was parsed from JSON: its faults, as many as are told apart, and its size in bytes at the most. */
export interface JsonSurvey {
  faults: JsonFault[];
  mostBytes: number;
}

/** More faults of one value are not told apart. */
export const MOST_FAULTS = 64;

/** What JSON makes of one UTF-16 unit at the most, `\u001f`, and of a number, and what stands around a value. */
const BYTES_PER_UNIT = 6;
const BYTES_PER_NUMBER = 24;
const BYTES_AROUND = 6;

/**
 * Surveys a value that was parsed from JSON. It walks without recursion: a frame of 64 KiB can nest tens of thousands
 * deep, which would overflow the stack of a naive walk.
 */
export function surveyJson(value: unknown, maxDepth: number = LIMITS.jsonDepth): JsonSurvey {
  let mostBytes = 0;
  const faults: JsonFault[] = [];
  const waiting: Array<{ value: unknown; path: PropertyKey[] }> = [{ value, path: [] }];
  for (let next = waiting.pop(); next && faults.length < MOST_FAULTS; next = waiting.pop()) {
    const { value: current, path } = next;
    // Alone: other faults may lie in what it costs.
    if (path.length > maxDepth)
      return { faults: [{ path: path.slice(0, 1), why: `nests deeper than ${maxDepth} levels` }], mostBytes };
    mostBytes += BYTES_AROUND;
    if (!isKeyed(current)) {
      const why = faultOf(current);
      if (why !== undefined) faults.push({ path, why });
      mostBytes += mostBytesOf(current);
      continue;
    }
    // By keys: in a storm of registrations, a pair for each of their values is a good part of all garbage.
    for (const key of Object.keys(current)) {
      const child = current[key];
      const why = faultOfKey(key);
      if (why !== undefined) {
        faults.push({ path: [...path, key], why });
        continue;
      }
      mostBytes += BYTES_PER_UNIT * key.length;
      // Most values are plain text or numbers: what is right need not wait for its turn.
      if (path.length < maxDepth && !isKeyed(child) && faultOf(child) === undefined)
        mostBytes += BYTES_AROUND + mostBytesOf(child);
      else waiting.push({ value: child, path: [...path, key] });
    }
  }
  return { faults, mostBytes };
}

const isKeyed = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

function faultOfKey(key: string): string | undefined {
  if (key === '__proto__') return 'a key cannot be __proto__';
  return isWellFormed(key) ? undefined : 'the key has half a surrogate pair';
}

/** Why a value that nests nothing cannot be stored. */
function faultOf(value: unknown): string | undefined {
  if (typeof value === 'string' && !isWellFormed(value)) return 'has half a surrogate pair';
  if (typeof value === 'number' && !isExactNumber(value)) return NOT_EXACT;
  return undefined;
}

/** The fault of a number that is not the one that was written. */
export const NOT_EXACT = 'is a number too large to keep its digits (2^53 and beyond); write it as text';

/**
 * Whether a number that was parsed from JSON is still the one that was written, as far as can be told: a whole number
 * from 2^53 on may have been another one, and 1e999 is read as Infinity, which JSON.stringify writes as null.
 */
function isExactNumber(value: number): boolean {
  return Number.isSafeInteger(value) || (Number.isFinite(value) && !Number.isInteger(value));
}

/** A bare word as the number that it is, where it comes out of it as it went in; else as it is: `1.10`, `0012`, `1e3`. */
export function exactNumberOrText(text: string): number | string {
  const value = Number(text);
  return text !== '' && Number.isFinite(value) && String(value) === text ? value : text;
}

const mostBytesOf = (value: unknown): number =>
  typeof value === 'string' ? BYTES_PER_UNIT * value.length : BYTES_PER_NUMBER;

/** Strings, which are left alone, and what Python and others write for numbers that are none. Linear in the text. */
const bareNotNumbers = /"(?:[^"\\]|\\[\s\S]?)*"?|-?\b(?:NaN|Infinity)\b/g;

/**
 * Parses JSON, also where it has `NaN` or `Infinity` as figures: they become a number that no schema takes, so that it
 * can be named and dropped while the rest counts; a byte order mark before it is passed over. Throws a `SyntaxError`.
 */
export function parseJson(marked: string): unknown {
  const text = marked.startsWith('\ufeff') ? marked.slice(1) : marked;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!/NaN|Infinity/.test(text)) throw error;
    return JSON.parse(text.replace(bareNotNumbers, (part) => (part.startsWith('"') ? part : '1e999')));
  }
}

const encoder = new TextEncoder();

/** Bytes of a value as JSON in UTF-8. */
export function jsonBytes(value: unknown): number {
  return encoder.encode(JSON.stringify(value)).length;
}

/**
 * Puts a guard before a schema: the raw value must be storable JSON of at most `maxBytes`. It must come
 * first, because objects that zod rebuilds have already lost a key such as `__proto__` without a word.
 */
export function boundedJson<T extends z.ZodType>(schema: T, maxBytes: number) {
  return z
    .unknown()
    .check((context) => {
      const { value } = context;
      const { faults, mostBytes } = surveyJson(value);
      for (const { why, path } of faults)
        context.issues.push({ code: 'custom', message: why, path, input: value });
      if (faults.length === 0 && value !== undefined && mostBytes > maxBytes && jsonBytes(value) > maxBytes) {
        // Few values are so large that they must be counted.
        context.issues.push({ code: 'custom', message: `is larger than ${maxBytes} bytes`, input: value });
      }
    })
    .pipe(schema);
}
