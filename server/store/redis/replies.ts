import { type FleetEvent, type HeartbeatTiming, type NodeStats, statsSchema } from '../../../shared/index.ts';
import { shareNode } from '../../runtime/interning.ts';
import { type LogEntry, type NodeRecord, type Stored, withTiming } from '../fleet-store.ts';
import type { BadData } from './bad-data.ts';
import type { OwnChanges } from './own-changes.ts';
import { isId, isObject, isTiming, parsedJson, readEvent, readNode, readVersion } from './salvage.ts';

/** Converts the replies of scripts and commands into the store's types. */

/** Context for reading data that may be broken. */
export interface Context {
  bad: BadData;
  /** Whether this id belongs to the shard that is read. */
  isOfShard: (id: string) => boolean;
  /** An instant, for records that have none. */
  now: () => string;
}

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

/** The `record` field of a node's hash: the node as clients see it, flat, and `instanceId`. */
export function recordText({ node, instanceId }: NodeRecord): string {
  return JSON.stringify({ ...node, instanceId });
}

/** The timing that a session got after its registration: the field `timing`, if it names that session. */
export function toTiming(timing: unknown, session: unknown): HeartbeatTiming | undefined {
  if (typeof timing !== 'string' || timing === '') return undefined;
  const [ofSession, interval, timeout] = timing.split(' ');
  if (ofSession !== session) return undefined;
  const read = { intervalMs: Number(interval), timeoutMs: Number(timeout) };
  return isTiming(read) ? read : undefined;
}

/** A node's hash that is no record, as it was read: '' for what is absent. */
export interface Rubbish {
  id: string;
  version: string;
  changeId: string;
}

/** An entirely unreadable node. */
export const unread = (id: string): Rubbish => ({ id, version: '', changeId: '' });

/** A record from the fields version, session, sessionSeq, changeId, record, timing of a node's hash. */
export function toRecord(id: string, fields: readonly unknown[], context: Context): NodeRecord | Rubbish {
  const [version, session, sessionSeq, changeId, record, timing] = fields;
  const seq = readVersion(version);
  const ofSession = readVersion(sessionSeq);
  const parsed = parsedJson(record);
  const { instanceId, ...said } = isObject(parsed) ? parsed : {};
  const read = readNode(said.seq === seq ? said : { ...said, seq }, id, context.now());
  const isSpoken = ofSession !== undefined && typeof session === 'string' && session !== '';
  if (!read || !isSpoken || typeof changeId !== 'string' || !context.isOfShard(id))
    return { id, version: textOf(version), changeId: textOf(changeId) };
  const { node, salvaged } = read;
  if (salvaged) context.bad.found('fields', id);
  shareNode(node);
  return withTiming(
    { node, session, sessionSeq: ofSession, instanceId: textOf(instanceId), changeId },
    toTiming(timing, session),
  );
}

export const isRubbish = (read: NodeRecord | Rubbish): read is Rubbish => !('node' in read);

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** A stored node from the fields version, session, sessionSeq, changeId, restored, record, timing. */
export function toStoredNode(
  id: string,
  fields: readonly unknown[],
  context: Context,
): Extract<Stored, { kind: 'node' }> | Rubbish {
  const [version, session, sessionSeq, changeId, restored, ...rest] = fields;
  const record = toRecord(id, [version, session, sessionSeq, changeId, ...rest], context);
  return isRubbish(record) ? record : { kind: 'node', record, restored: restored === '1' };
}

/** An entry of a stream as XRANGE gives it: its id and a flat list of fields. */
export interface RawEntry {
  at: string;
  field(name: string): unknown;
}

export function toRawEntry(reply: unknown): RawEntry {
  const [at, flat] = asList(reply);
  const fields = asList(flat);
  // Names are at even places only: a value, such as a node's id, may equal a name.
  const field = (name: string): unknown => {
    for (let place = 0; place < fields.length; place += 2)
      if (fields[place] === name) return fields[place + 1];
    return undefined;
  };
  return { at: asText(at), field };
}

/** The event of an entry; undefined if it is unreadable. */
export function toEvent(entry: RawEntry, { bad }: Context): FleetEvent | undefined {
  const nodeId = entry.field('nodeId');
  const read = isId(nodeId) ? readEvent(parsedJson(entry.field('event')), nodeId) : undefined;
  if (!read) {
    bad.found('entry', `${entry.at} ${textOf(nodeId)}`);
    return undefined;
  }
  if (read.salvaged) bad.found('fields', read.event.nodeId);
  shareNode(read.event.node);
  return read.event;
}

/**
 * An entry of the log. A change of this hub may come as its name only, and is then taken from `own`; undefined if `own`
 * no longer has it. `foreign`: no hub wrote it. `unreadable`: a change that cannot be read.
 */
export function toLogEntry(
  reply: unknown,
  context: Context,
  own?: OwnChanges,
): LogEntry | 'foreign' | 'unreadable' | undefined {
  const [at, named] = asList(reply);
  if (own && typeof named === 'string') {
    const change = own.take(named);
    return change && { at: asText(at), event: change.event, record: change.record };
  }
  const entry = toRawEntry(reply);
  const [changeId, session, instanceId] = ['changeId', 'session', 'instanceId'].map((name) =>
    entry.field(name),
  );
  const sessionSeq = readVersion(entry.field('sessionSeq'));
  if (typeof changeId !== 'string') {
    context.bad.found('entry', entry.at);
    return 'foreign';
  }
  const known = own?.take(changeId);
  if (known) return { at: entry.at, event: known.event, record: known.record };
  const event = toEvent(entry, context);
  const whole = typeof session === 'string' && sessionSeq !== undefined && typeof instanceId === 'string';
  if (!event || !whole || !context.isOfShard(event.nodeId)) {
    context.bad.found('entry', `${entry.at} ${textOf(entry.field('nodeId'))}`);
    return 'unreadable';
  }
  return { at: entry.at, event, record: { node: event.node, session, sessionSeq, instanceId, changeId } };
}

/** The last stats; undefined before the first, or if these are unreadable. */
export function toStats(text: string): NodeStats | undefined {
  return text === '' ? {} : statsSchema.safeParse(parsedJson(text)).data;
}
