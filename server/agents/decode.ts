import { z } from 'zod';
import {
  type AgentErrorCode,
  type Deregister,
  type Dropped,
  deregisterSchema,
  fitNode,
  fitStats,
  type HeartbeatSet,
  heartbeatSetSchema,
  IN_WORDS,
  LIMITS,
  nameOf,
  parseJson,
  printable,
  type ReadStats,
  type Register,
  readConditions,
  registerSchema,
  type StatsMessage,
  salvage,
  statsMessageSchema,
} from '../../shared/index.ts';

export interface BadMessage {
  type: 'bad';
  code: AgentErrorCode;
  message: string;
  path?: string;
}

/** A message, and its fields that were dropped as invalid. */
export type Lenient<T> = T & { dropped?: Dropped[] };

export type Decoded =
  | Lenient<Register>
  | Lenient<StatsMessage & ReadStats>
  | Deregister
  | HeartbeatSet
  | BadMessage;

/** The envelope `{"type":"stats","stats":…}` around the stats themselves. */
const STATS_ENVELOPE_BYTES = 64;

/** Stats come all the time, and registrations in storms: their schemas are compiled. */
const stats = z.compile(statsMessageSchema, { strict: true });
const register = z.compile(registerSchema, { strict: true });

/** Parses one text frame of an agent. It never throws. */
export function decodeAgentMessage(frame: Buffer): Decoded {
  let value: unknown;
  try {
    value = parseJson(frame.toString());
  } catch {
    return { type: 'bad', code: 'bad_json', message: 'the frame is not JSON' };
  }
  const type = typeOf(value);
  if (type === undefined)
    return { type: 'bad', code: 'bad_json', message: 'a message is an object with a "type"' };
  switch (type) {
    case 'stats':
      return decodeStats(value, frame.length);
    case 'register':
      return decodeRegister(value);
    case 'deregister':
      return read(deregisterSchema, value);
    case 'heartbeat_set':
      return read(heartbeatSetSchema, value);
    default:
      return {
        type: 'bad',
        code: 'unknown_type',
        message: `there is no message of type ${printable(JSON.stringify(type.slice(0, 64)))}`,
        path: 'type',
      };
  }
}

function decodeStats(value: unknown, bytes: number): Decoded {
  const message = lenient(stats, value, STATS_REQUIRED);
  if (message.type !== 'stats') return message;
  const dropped: Dropped[] = [...(message.dropped ?? [])];
  let read = message.stats;
  if (bytes > LIMITS.statsBytes + STATS_ENVELOPE_BYTES) {
    const fitting = fitStats(read);
    read = fitting.stats;
    const why = `stats are at most ${LIMITS.statsBytes} bytes`;
    dropped.unshift({ code: 'too_large', path: 'stats', message: why }, ...fitting.dropped);
  }
  const raw = dropped.length > 0 && isObject(value) ? value.stats : undefined;
  const settled = readConditions(read, dropped, raw);
  return { type: 'stats', ...settled, ...(dropped.length > 0 && { dropped }) };
}

function decodeRegister(value: unknown): Decoded {
  const message = lenient(register, value, REGISTER_REQUIRED);
  if (message.type !== 'bad' || message.path !== 'node' || !isObject(value)) return message;
  const fitting = fitNode(value.node);
  if (fitting.dropped.length === 0) return message;
  const rest = lenient(register, { ...value, node: fitting.node }, REGISTER_REQUIRED);
  return rest.type === 'bad' ? rest : { ...rest, dropped: [...fitting.dropped, ...(rest.dropped ?? [])] };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The `type` of a message; undefined if it is not an object, or has none. */
function typeOf(value: unknown): string | undefined {
  if (!isObject(value)) return undefined;
  return typeof value.type === 'string' ? value.type : undefined;
}

interface Reader<T> {
  safeParse(
    value: unknown,
    params: typeof IN_WORDS,
  ): { success: true; data: T } | { success: false; error: z.ZodError };
}

/** Required fields: a machine without its name, or with a wrong id, would be another machine. */
const REGISTER_REQUIRED = new Set(['type', 'protocol', 'instanceId', 'node', 'node.hostname', 'node.nodeId']);
const STATS_REQUIRED = new Set(['type', 'stats']);

/** Parses a message in which one invalid field must not cost the rest. */
function lenient<T extends object>(
  schema: Reader<T>,
  value: unknown,
  required: ReadonlySet<string>,
): Lenient<T> | BadMessage {
  const result = salvage(schema, value, required);
  if (!result.ok) return invalid(result.fault);
  return result.dropped.length === 0 ? result.data : { ...result.data, dropped: result.dropped };
}

function read<T>(schema: Reader<T>, value: unknown): T | BadMessage {
  const result = schema.safeParse(value, IN_WORDS);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  return invalid(issue ? nameOf(issue) : { path: '', message: 'the message is not valid' });
}

function invalid({ path, message }: Omit<Dropped, 'code'>): BadMessage {
  return { type: 'bad', code: 'invalid', message, ...(path !== '' && { path }) };
}
