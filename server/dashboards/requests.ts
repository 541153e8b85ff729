import type { z } from 'zod';
import { faultOf, IN_WORDS, printable, type Refusal } from '../../shared/index.ts';

export type Read<T> = { ok: true; request: T } | Refusal;

const MESSAGE_LENGTH = 256;

/** A refusal with the fault of a request, field first. */
function invalid(path: readonly PropertyKey[], why: string): Refusal {
  const field = path.length > 0 ? printable(path.map(String).join('.')) : 'the request';
  return { ok: false, code: 'invalid', message: `${field}: ${why}`.slice(0, MESSAGE_LENGTH) };
}

/** Parses a payload by its schema. It never throws. */
export function readRequest<T>(schema: z.ZodType<T>, payload: unknown): Read<T> {
  const result = schema.safeParse(payload, IN_WORDS);
  if (result.success) return { ok: true, request: result.data };
  const { path, message } = faultOf(result.error.issues[0]);
  return invalid(path, message);
}
