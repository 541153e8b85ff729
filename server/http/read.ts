import type { z } from 'zod';
import { Problem } from './problem.ts';

/** Reads a value by a schema. Throws a `Problem` that names the first wrong field. */
export function read<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
  const path = [...(issue?.path ?? []), ...unknown].map(String).join('.');
  const why = unknown.length > 0 ? 'there is no such field' : (issue?.message ?? 'is not valid');
  throw new Problem('invalid', path ? `${path}: ${why}` : why, path);
}

/** The query of a request, as it was sent: repeated keys stay apart. */
export function queryOf(url: string): URLSearchParams {
  const at = url.indexOf('?');
  return new URLSearchParams(at < 0 ? '' : url.slice(at + 1));
}
