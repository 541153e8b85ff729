import {
  type Beat,
  type BeatAnswer,
  type Change,
  type CommitOutcome,
  type LostNode,
  type RefusedBeat,
  type RetimeAnswer,
  type Retiming,
  type TickAnswer,
  tombstoneLeftMs,
} from '../fleet-store.ts';
import type { OwnChanges } from './own-changes.ts';
import { asList, asNumber, asText, recordText, toLogEntry, toRecord } from './replies.ts';

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
export type BeatReply = 'epoch' | (Exclude<BeatAnswer, 'epoch'> & { toCheck: Set<string> });

export function toBeatReply(reply: unknown): BeatReply {
  const refused: RefusedBeat[] = [];
  const returned: string[] = [];
  const toCheck = new Set<string>();
  for (const answer of asList(reply)) {
    if (answer === 'epoch') return 'epoch';
    const [what, id, ...fields] = asList(answer).map(asText);
    if (id === undefined) continue;
    if (what === 'check') toCheck.add(id);
    else if (what === 'returned') returned.push(id);
    else refused.push(toRefusedBeat(what, id, fields));
  }
  return { refused, returned, toCheck };
}

function toRefusedBeat(by: string | undefined, id: string, fields: readonly string[]): RefusedBeat {
  const [session = '', ...stored] = fields;
  if (by === 'session') {
    const [storedSession = '', storedSessionSeq, storedVersion] = stored;
    return {
      ...{ id, session, by, storedSession },
      storedSessionSeq: asNumber(storedSessionSeq),
      storedVersion: asNumber(storedVersion),
    };
  }
  if (by === 'tombstone') return { id, session, by, storedVersion: asNumber(stored[0]) };
  return { id, session, by: 'nothing' };
}

/** What `tick` said of one shard; nothing where it did not tell of an own change which is not remembered. */
export function toTickAnswer(reply: unknown, own: OwnChanges | undefined): TickAnswer | undefined {
  const fields = asList(reply);
  const kind = fields[0];
  if (kind === 'epoch') return { kind };
  if (kind === 'gap') return { kind, cause: fields[1] === 'trimmed' ? 'trimmed' : 'lost' };
  const [, now, looked, moreDue, moreLogged, nextDue, entries, silent] = fields;
  const logged = asList(entries).map((entry) => toLogEntry(entry, own));
  if (!logged.every((entry) => entry !== undefined)) return undefined;
  const silentNodes = asList(silent).map((answer) => {
    const [dueAt, session, sessionSeq, changeId, record, timing] = asList(answer);
    return { record: toRecord(session, sessionSeq, changeId, record, timing), dueAt: asNumber(dueAt) };
  });
  return {
    kind: 'news',
    entries: logged,
    silent: silentNodes,
    looked: asNumber(looked),
    moreDue: moreDue === '1',
    moreLogged: moreLogged === '1',
    nextDueAt: nextDue === '' ? undefined : asNumber(nextDue),
    putOff: asNumber(looked) - silentNodes.length,
    now: asNumber(now),
  };
}
