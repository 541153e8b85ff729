import type { z } from 'zod';
import { findJsonFault, type Refusal, type Subscribe, subscribeSchema } from '../../shared/index.ts';

export type Read<T> = { ok: true; request: T } | Refusal;

const MESSAGE_LENGTH = 256;

/** Says what is wrong with a request, field first. */
export function invalid(path: readonly PropertyKey[], why: string): Refusal {
  const field = path.length > 0 ? path.map(String).join('.') : 'the request';
  return { ok: false, code: 'invalid', message: `${field}: ${why}`.slice(0, MESSAGE_LENGTH) };
}

/** Reads a payload by its schema. It never throws. */
export function readRequest<T>(schema: z.ZodType<T>, payload: unknown): Read<T> {
  const result = schema.safeParse(payload);
  if (result.success) return { ok: true, request: result.data };
  const issue = result.error.issues[0];
  return invalid(issue?.path ?? [], issue?.message ?? 'is not valid');
}

/**
 * Reads a `subscribe`. A filter with a key named `__proto__` is refused here: the schema would drop the key
 * without a word, and the rest would match more than was asked for.
 */
export function readSubscribe(payload: unknown): Read<Subscribe> {
  const read = readRequest(subscribeSchema, payload);
  if (!read.ok || typeof payload !== 'object' || payload === null || !('filter' in payload)) return read;
  const fault = findJsonFault(payload.filter);
  return fault ? invalid(['filter', ...fault.path], fault.why) : read;
}
