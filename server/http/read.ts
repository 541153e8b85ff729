import type { z } from 'zod';
import { type Dropped, faultOf, IN_WORDS, queryPairs, salvage } from '../../shared/index.ts';
import { Problem } from './problem.ts';

/** Parses a value by a schema. Throws a `Problem` that names the first wrong field. */
export function read<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const result = schema.safeParse(value, IN_WORDS);
  if (result.success) return result.data;
  const fault = faultOf(result.error.issues[0]);
  const path = fault.path.map(String).join('.');
  throw new Problem('invalid', path ? `${path}: ${fault.message}` : fault.message, path);
}

/**
 * Parses an agent's description of its machine: invalid fields are dropped and added to `dropped`, and the rest counts.
 * Throws a `Problem` if one of the `required` fields is invalid.
 */
export function readLeniently<T extends z.ZodType>(
  schema: T,
  value: unknown,
  { required, dropped }: { required: ReadonlySet<string>; dropped: Dropped[] },
): z.output<T> {
  const result = salvage(schema, value, required);
  if (!result.ok) {
    const { path, message } = result.fault;
    throw new Problem('invalid', path ? `${path}: ${message}` : message, path);
  }
  dropped.push(...result.dropped);
  return result.data;
}

/** The query of a request as it was sent: repeated keys stay apart, and so do the values of a list. */
export function queryOf(url: string): URLSearchParams {
  const at = url.indexOf('?');
  return new URLSearchParams(at < 0 ? [] : queryPairs(url.slice(at + 1)));
}
