import {
  type Beat,
  type BeatAnswer,
  type Change,
  type CommitOutcome,
  type LogEntry,
  type LostNode,
  type RefusedBeat,
  type RetimeAnswer,
  type Retiming,
  type SilentNode,
  type TickAnswer,
  tombstoneLeftMs,
} from '../fleet-store.ts';
import type { OwnChanges } from './own-changes.ts';
import {
  asList,
  asNumber,
  asText,
  type Context,
  isRubbish,
  type Rubbish,
  recordText,
  toLogEntry,
  toRecord,
} from './replies.ts';
import { readVersion } from './salvage.ts';

/*
 * The arguments of the scripts and their answers, in the order that the heads of the Lua files give.
 */

const ttlText = (ttlMs: number): string => String(Math.max(1, Math.floor(ttlMs)));
const flag = (on: boolean): '1' | '0' => (on ? '1' : '0');

/** One change of `commits`. The node's JSON goes once, for the record and for the event. */
export function changeArguments(change: Change): string[] {
  const { id, expected, record, event, removed, onlyIfSilent, heartbeat, look } = change;
  const { node, session, sessionSeq, instanceId, changeId } = record;
  const nextLook = typeof look === 'string' ? look : String(Math.max(0, Math.ceil(look.afterMs)));
  const [beat, lasts] = typeof heartbeat === 'string' ? [heartbeat, ''] : ['set', ttlText(heartbeat.lastsMs)];
  return [
    ...[id, String(expected), String(event.seq), changeId, flag(removed), flag(onlyIfSilent), beat],
    ...[lasts, nextLook, session, String(sessionSeq), node.status, instanceId],
    ...[JSON.stringify({ ...event, node: undefined }), JSON.stringify(event.node)],
  ];
}

/** The answer of `commits` to so many changes: what became of each, or why Redis refused it. */
export function toOutcomes(reply: unknown, changes: number): Array<CommitOutcome | Error> {
  if (reply === 'epoch') return Array.from({ length: changes }, () => 'epoch');
  return asList(reply).map((outcome) =>
    outcome === 'done' || outcome === 'conflict' || outcome === 'still-beating'
      ? outcome
      : new Error(asText(outcome)),
  );
}

/** A shard's share of `beat`, after its epoch, position and prefix. */
export function beatArguments(beats: readonly Beat[]): string[] {
  const pings: string[] = [];
  const stats: string[] = [];
  const checked: string[] = [];
  for (const beat of beats) {
    const ttl = ttlText(beat.ttlMs);
    if (!beat.vouched) checked.push(beat.id, beat.session, ttl, beat.stats ?? '');
    else if (beat.stats === undefined) pings.push(beat.id, ttl);
    else stats.push(beat.id, ttl, beat.stats);
  }
  const counts = [pings.length / 2, stats.length / 3, checked.length / 4].map(String);
  return counts.concat(pings, stats, checked);
}

/** One session of `retime`. */
export function retimingArguments({ id, session, timing, ttlMs }: Retiming): string[] {
  const { intervalMs, timeoutMs } = timing;
  return [id, session, String(intervalMs), String(timeoutMs), String(Math.max(0, Math.floor(ttlMs)))];
}

/** The answers of `retime`, one per batch. */
export function toRetimeAnswer(replies: readonly unknown[]): RetimeAnswer {
  const answers = replies.map(asList);
  if (answers.some(([kind]) => kind === 'epoch')) return 'epoch';
  return { refused: answers.flatMap(([, ...ids]) => ids.map(asText)) };
}

/** One node or tombstone of `restore`. */
export function lostArguments(lost: LostNode, now: number): string[] {
  if (lost.kind === 'gone') {
    const { id, version } = lost.tombstone;
    return ['gone', id, String(version), String(Math.ceil(tombstoneLeftMs(lost.tombstone, now)))];
  }
  const { record, event } = lost;
  const { node, session, sessionSeq, instanceId, changeId } = record;
  const look = node.status === 'offline' ? 'never' : String(node.heartbeat.timeoutMs);
  return [
    ...['node', node.id, String(node.seq), changeId, session, String(sessionSeq), instanceId, node.status],
    ...[look, recordText(record), JSON.stringify(event)],
  ];
}

/** What `beat` said of one shard's heartbeats; `toCheck`: vouched ones that are to be sent again, to be checked. */
export type BeatReply =
  | 'epoch'
  | (Exclude<BeatAnswer, 'epoch'> & {
      toCheck: Set<string>;
      /** Nodes whose key is rubbish. */
      bad: string[];
    });

export function toBeatReply(reply: unknown): BeatReply {
  const refused: RefusedBeat[] = [];
  const returned: string[] = [];
  const toCheck = new Set<string>();
  const bad: string[] = [];
  for (const answer of asList(reply)) {
    if (answer === 'epoch') return 'epoch';
    const [what, id, ...fields] = asList(answer).map(asText);
    if (id === undefined) continue;
    if (what === 'bad') bad.push(id);
    else if (what === 'check') toCheck.add(id);
    else if (what === 'returned') returned.push(id);
    else refused.push(toRefusedBeat(what, id, fields));
  }
  return { refused, returned, toCheck, bad };
}

function toRefusedBeat(by: string | undefined, id: string, fields: readonly string[]): RefusedBeat {
  const [session = '', ...stored] = fields;
  if (by === 'session') {
    const [storedSession = '', storedSessionSeq, storedVersion] = stored;
    return {
      ...{ id, session, by, storedSession },
      // What is no version is older than any.
      storedSessionSeq: readVersion(storedSessionSeq) ?? 0,
      storedVersion: readVersion(storedVersion) ?? 0,
    };
  }
  if (by === 'tombstone') return { id, session, by, storedVersion: readVersion(stored[0]) ?? 0 };
  return { id, session, by: 'nothing' };
}

/** What `tick` said of one shard, and the nodes there whose records are rubbish. */
export interface TickReply {
  answer: TickAnswer;
  rubbish: Rubbish[];
}

/** `bad`: a key of the shard is of another type. Nothing where it did not tell of an own change which is not remembered. */
export function toTickReply(
  reply: unknown,
  context: Context,
  own: OwnChanges | undefined,
): TickReply | 'bad' | undefined {
  const fields = asList(reply);
  const kind = fields[0];
  if (kind === 'bad') return kind;
  if (kind === 'epoch') return { answer: { kind }, rubbish: [] };
  if (kind === 'gap')
    return { answer: { kind, cause: fields[1] === 'trimmed' ? 'trimmed' : 'lost' }, rubbish: [] };
  const [, now, looked, moreDue, moreLogged, nextDue, entries, silent, bad] = fields;
  const told = asList(entries);
  const logged: LogEntry[] = [];
  let unreadable = false;
  for (const one of told) {
    const entry = toLogEntry(one, context, own);
    if (entry === undefined) return undefined;
    if (entry === 'unreadable') unreadable = true;
    else if (entry !== 'foreign') logged.push(entry);
  }
  const storeNow = asNumber(now);
  const silentNodes: SilentNode[] = [];
  const rubbish = asList(bad).map((id): Rubbish => ({ id: asText(id), version: '', changeId: '' }));
  for (const answer of asList(silent)) {
    const [dueAt, id, ...stored] = asList(answer);
    const record = toRecord(asText(id), stored, context);
    if (isRubbish(record)) rubbish.push(record);
    else silentNodes.push({ record, overdueMs: Math.max(0, storeNow - (finite(dueAt) ?? storeNow)) });
  }
  const nextDueAt = finite(nextDue);
  const last = told.at(-1);
  return {
    answer: {
      kind: 'news',
      entries: logged,
      ...(last !== undefined && { upTo: asText(asList(last)[0]) }),
      ...(unreadable && { unreadable }),
      silent: silentNodes,
      looked: asNumber(looked),
      moreDue: moreDue === '1',
      moreLogged: moreLogged === '1',
      nextDueInMs: nextDueAt === undefined ? undefined : nextDueAt - storeNow,
      putOff: asNumber(looked) - silentNodes.length,
      now: storeNow,
    },
    rubbish,
  };
}

/** A number, or nothing: also for the infinities that a score may be. */
function finite(text: unknown): number | undefined {
  const number = typeof text === 'string' && text !== '' ? Number(text) : Number.NaN;
  return Number.isFinite(number) ? number : undefined;
}
