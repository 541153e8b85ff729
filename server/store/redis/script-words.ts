import type {
  Beat,
  BeatAnswer,
  Change,
  LostNode,
  RefusedBeat,
  RetimeAnswer,
  Retiming,
  TickAnswer,
} from '../fleet-store.ts';
import { asList, asNumber, asText, recordText, toLogEntry, toRecord } from './replies.ts';

/*
 * The arguments of the scripts and their answers, in the order that the heads of the Lua files give.
 */

const flag = (on: boolean): '1' | '0' => (on ? '1' : '0');

/** Arguments 2 to 16 of `commit`. */
export function changeArguments(change: Change): Array<string | number> {
  const { id, expected, record, event, removed, onlyIfSilent, heartbeat, look } = change;
  const { node, session, sessionSeq, instanceId, changeId } = record;
  return [
    ...[id, expected, event.seq, changeId, flag(removed), flag(onlyIfSilent), heartbeat],
    ...[node.heartbeat.timeoutMs, typeof look === 'string' ? look : Math.max(0, Math.ceil(look.afterMs))],
    ...[session, sessionSeq, node.status, instanceId, recordText(record), JSON.stringify(event)],
  ];
}

/** One heartbeat of `beat`. */
export function beatArguments({ id, session, ttlMs, stats }: Beat): string[] {
  return [id, session, String(Math.max(1, Math.floor(ttlMs))), stats ?? ''];
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
export function lostArguments(lost: LostNode): string[] {
  if (lost.kind === 'gone') return ['gone', lost.tombstone.id, String(lost.tombstone.version)];
  const { record, event } = lost;
  const { node, session, sessionSeq, instanceId, changeId } = record;
  const look = node.status === 'offline' ? 'never' : String(node.heartbeat.timeoutMs);
  return [
    ...['node', node.id, String(node.seq), changeId, session, String(sessionSeq), instanceId, node.status],
    ...[look, recordText(record), JSON.stringify(event)],
  ];
}

/** The answers of `beat`, one per batch. */
export function toBeatAnswer(replies: readonly unknown[]): BeatAnswer {
  const refused: RefusedBeat[] = [];
  const returned: string[] = [];
  for (const reply of replies) {
    for (const answer of asList(reply)) {
      if (answer === 'epoch') return 'epoch';
      const [what, id, ...fields] = asList(answer).map(asText);
      if (id === undefined) continue;
      if (what === 'returned') returned.push(id);
      else refused.push(toRefusedBeat(what, id, fields));
    }
  }
  return { refused, returned };
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

/** The answer of `tick`. */
export function toTickAnswer(reply: unknown): TickAnswer {
  const [kind, ...fields] = asList(reply);
  if (kind === 'epoch') return { kind };
  if (kind === 'gap') return { kind, cause: fields[0] === 'trimmed' ? 'trimmed' : 'lost' };
  const [now, looked, entries, silent] = fields;
  const silentNodes = asList(silent).map((answer) => {
    const [dueAt, session, sessionSeq, changeId, record, timing] = asList(answer);
    return { record: toRecord(session, sessionSeq, changeId, record, timing), dueAt: asNumber(dueAt) };
  });
  return {
    kind: 'news',
    entries: asList(entries).map(toLogEntry),
    silent: silentNodes,
    looked: asNumber(looked),
    putOff: asNumber(looked) - silentNodes.length,
    now: asNumber(now),
  };
}
