import { z } from 'zod';
import {
  type AgentErrorCode,
  type Deregister,
  deregisterSchema,
  LIMITS,
  type Register,
  registerSchema,
  type StatsMessage,
  statsMessageSchema,
} from '../../shared/index.ts';

export interface BadMessage {
  type: 'bad';
  code: AgentErrorCode;
  message: string;
  path?: string;
}

export type Decoded = Register | StatsMessage | Deregister | BadMessage;

/** The envelope `{"type":"stats","stats":…}` around the stats themselves. */
const STATS_ENVELOPE_BYTES = 64;

/** Stats come all the time, and registrations in storms: their schemas are compiled. */
const stats = z.compile(statsMessageSchema, { strict: true });
const register = z.compile(registerSchema, { strict: true });

/** Reads one text frame of an agent. It never throws. */
export function decodeAgentMessage(frame: Buffer): Decoded {
  let value: unknown;
  try {
    value = JSON.parse(frame.toString());
  } catch {
    return { type: 'bad', code: 'bad_json', message: 'the frame is not JSON' };
  }
  const type = typeOf(value);
  if (type === undefined)
    return { type: 'bad', code: 'bad_json', message: 'a message is an object with a "type"' };
  switch (type) {
    case 'stats':
      if (frame.length > LIMITS.statsBytes + STATS_ENVELOPE_BYTES) {
        return {
          type: 'bad',
          code: 'too_large',
          message: `stats are at most ${LIMITS.statsBytes} bytes`,
          path: 'stats',
        };
      }
      return read(stats, value);
    case 'register':
      return read(register, value);
    case 'deregister':
      return read(deregisterSchema, value);
    default:
      return {
        type: 'bad',
        code: 'unknown_type',
        message: `there is no message of type ${JSON.stringify(type.slice(0, 64))}`,
        path: 'type',
      };
  }
}

/** The `type` of a message; nothing where it is not an object, or has none. */
function typeOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !('type' in value))
    return undefined;
  return typeof value.type === 'string' ? value.type : undefined;
}

interface Reader<T> {
  safeParse(value: unknown): { success: true; data: T } | { success: false; error: z.ZodError };
}

function read<T>(schema: Reader<T>, value: unknown): T | BadMessage {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  return {
    type: 'bad',
    code: 'invalid',
    message: (issue?.message ?? 'the message is not valid').slice(0, 256),
    ...(issue && issue.path.length > 0 && { path: issue.path.join('.').slice(0, 256) }),
  };
}
