import { z } from 'zod';
import { LIMITS } from './limits.ts';

const loneSurrogate = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** True where a string has no half of a surrogate pair, so that it survives UTF-8 as it is. */
export function isWellFormed(text: string): boolean {
  return !loneSurrogate.test(text);
}

/** Where and why a value cannot be stored as JSON. */
export interface JsonFault {
  path: PropertyKey[];
  why: string;
}

/**
 * The first fault of a value that was parsed from JSON, or undefined. It walks without recursion: a frame of
 * 64 KiB can nest tens of thousands deep, which would overflow the stack of a naive walk.
 */
export function findJsonFault(value: unknown, maxDepth: number = LIMITS.jsonDepth): JsonFault | undefined {
  const waiting: Array<{ value: unknown; path: PropertyKey[] }> = [{ value, path: [] }];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { value: current, path } = next;
    if (path.length > maxDepth) return { path: [], why: `nests deeper than ${maxDepth} levels` };
    if (typeof current === 'string' && !isWellFormed(current))
      return { path, why: 'has half a surrogate pair' };
    // JSON.parse reads 1e999 as Infinity, which JSON.stringify writes as null.
    if (typeof current === 'number' && !Number.isFinite(current))
      return { path, why: 'is a number too large to store' };
    if (!isKeyed(current)) continue;
    // By keys: in a storm of registrations, a pair for each of their values is a good part of all garbage.
    for (const key of Object.keys(current)) {
      const child = current[key];
      if (key === '__proto__') return { path, why: 'has a key named __proto__' };
      if (!isWellFormed(key)) return { path, why: 'has a key with half a surrogate pair' };
      // Most values are plain text or numbers: what is right need not wait for its turn.
      if (path.length < maxDepth && isPlain(child)) continue;
      waiting.push({ value: child, path: [...path, key] });
    }
  }
  return undefined;
}

const isKeyed = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

const encoder = new TextEncoder();

/** A value that nests nothing and can be stored. */
function isPlain(value: unknown): boolean {
  if (typeof value === 'string') return isWellFormed(value);
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value === 'boolean' || value === null;
}

/** Bytes of a value as JSON in UTF-8. */
export function jsonBytes(value: unknown): number {
  return encoder.encode(JSON.stringify(value)).length;
}

/** A character is three bytes of UTF-8 at the most: few texts are so long that they must be counted. */
function isLarger(value: unknown, maxBytes: number): boolean {
  const { length } = JSON.stringify(value);
  return length > maxBytes || (3 * length > maxBytes && jsonBytes(value) > maxBytes);
}

/**
 * Puts a guard before a schema: the raw value must be storable JSON of at most so many bytes. It must come
 * first, because objects that zod rebuilds have already lost a key such as `__proto__` without a word.
 */
export function boundedJson<T extends z.ZodType>(schema: T, maxBytes: number) {
  return z
    .unknown()
    .check((context) => {
      const fault = findJsonFault(context.value);
      if (fault) {
        context.issues.push({ code: 'custom', message: fault.why, path: fault.path, input: context.value });
      } else if (context.value !== undefined && isLarger(context.value, maxBytes)) {
        context.issues.push({
          code: 'custom',
          message: `is larger than ${maxBytes} bytes`,
          input: context.value,
        });
      }
    })
    .pipe(schema);
}
