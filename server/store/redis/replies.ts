import {
  type FleetEvent,
  type FleetNode,
  type HeartbeatTiming,
  type NodeStats,
  statsSchema,
} from '../../../shared/index.ts';
import { shareNode } from '../../shared-parts.ts';
import { type LogEntry, type NodeRecord, type Stored, withTiming } from '../fleet-store.ts';
import type { OwnChanges } from './own-changes.ts';

/*
 * What scripts and commands answer, made into what the store promises. Records, events and stats were checked
 * when they came in; here only what would break us is looked at, because every hub reads every event.
 */

const unexpected = (what: string): TypeError => new TypeError(`Redis holds something else than ${what}`);

export function asList(reply: unknown): unknown[] {
  if (!Array.isArray(reply)) throw unexpected('a list');
  return reply;
}

export function asText(reply: unknown): string {
  if (typeof reply !== 'string') throw unexpected('a text');
  return reply;
}

export function asNumber(reply: unknown): number {
  const number = typeof reply === 'number' ? reply : Number(asText(reply));
  if (Number.isNaN(number)) throw unexpected('a number');
  return number;
}

const parseJson = (text: unknown): unknown => JSON.parse(asText(text));

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

function isNode(value: unknown): value is FleetNode {
  return (
    isObject(value) &&
    'id' in value &&
    typeof value.id === 'string' &&
    'seq' in value &&
    typeof value.seq === 'number' &&
    'status' in value &&
    typeof value.status === 'string' &&
    'heartbeat' in value &&
    isObject(value.heartbeat)
  );
}

function isEvent(value: unknown): value is FleetEvent {
  return (
    isObject(value) &&
    'seq' in value &&
    typeof value.seq === 'number' &&
    'nodeId' in value &&
    typeof value.nodeId === 'string' &&
    'at' in value &&
    typeof value.at === 'string' &&
    'node' in value &&
    isNode(value.node)
  );
}

/** The `record` field of a node's hash: what clients see of the node, flat, and `instanceId`. */
export function recordText({ node, instanceId }: NodeRecord): string {
  return JSON.stringify({ ...node, instanceId });
}

/** The timing that a session was given since its registration: the field `timing`, where it names that session. */
export function toTiming(timing: unknown, session: unknown): HeartbeatTiming | undefined {
  if (typeof timing !== 'string' || timing === '') return undefined;
  const [ofSession, interval, timeout] = timing.split(' ');
  if (ofSession !== session) return undefined;
  return { intervalMs: asNumber(interval), timeoutMs: asNumber(timeout) };
}

/** A record from the fields session, sessionSeq, changeId, record, timing. */
export function toRecord(
  session: unknown,
  sessionSeq: unknown,
  changeId: unknown,
  record: unknown,
  timing: unknown,
): NodeRecord {
  const parsed = parseJson(record);
  if (!isObject(parsed) || !('instanceId' in parsed)) throw unexpected('a record');
  const { instanceId, ...node } = parsed;
  if (!isNode(node)) throw unexpected('a record');
  shareNode(node);
  return withTiming(
    {
      node,
      session: asText(session),
      sessionSeq: asNumber(sessionSeq),
      instanceId: asText(instanceId),
      changeId: asText(changeId),
    },
    toTiming(timing, session),
  );
}

/** A stored node from the fields session, sessionSeq, changeId, restored, record, timing. */
export function toStoredNode(fields: readonly unknown[]): Extract<Stored, { kind: 'node' }> {
  const [session, sessionSeq, changeId, restored, record, timing] = fields;
  return {
    kind: 'node',
    record: toRecord(session, sessionSeq, changeId, record, timing),
    restored: restored === '1',
  };
}

/** An entry of a stream as XRANGE gives it: its id and a flat list of fields. */
export interface RawEntry {
  at: string;
  field(name: string): unknown;
}

export function toRawEntry(reply: unknown): RawEntry {
  const [at, flat] = asList(reply);
  const fields = asList(flat);
  // Names stand at even places only: a value, such as a node's id, may read like a name.
  const field = (name: string): unknown => {
    for (let place = 0; place < fields.length; place += 2)
      if (fields[place] === name) return fields[place + 1];
    return undefined;
  };
  return { at: asText(at), field };
}

export function toEvent(entry: RawEntry): FleetEvent {
  const event = parseJson(entry.field('event'));
  if (!isEvent(event)) throw unexpected('an event');
  shareNode(event.node);
  return event;
}

/**
 * An entry of the log. Of a change of this hub only its name may have come, and it is taken from `own`; nothing where
 * that does not know it.
 */
export function toLogEntry(reply: unknown, own?: OwnChanges): LogEntry | undefined {
  const [at, told] = asList(reply);
  if (own && typeof told === 'string') {
    const change = own.take(told);
    return change && { at: asText(at), event: change.event, record: change.record };
  }
  const entry = toRawEntry(reply);
  const changeId = asText(entry.field('changeId'));
  const known = own?.take(changeId);
  if (known) return { at: entry.at, event: known.event, record: known.record };
  const event = toEvent(entry);
  const record = {
    node: event.node,
    session: asText(entry.field('session')),
    sessionSeq: asNumber(entry.field('sessionSeq')),
    instanceId: asText(entry.field('instanceId')),
    changeId,
  };
  return { at: entry.at, event, record };
}

/** The last stats; none before the first, or where another version of the hub wrote what this one cannot read. */
export function toStats(text: string): NodeStats {
  return text === '' ? {} : (statsSchema.safeParse(JSON.parse(text)).data ?? {});
}
