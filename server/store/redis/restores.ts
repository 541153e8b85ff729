import { LostDataError, type LostNode, type NotRestored, tombstoneLeftMs } from '../fleet-store.ts';
import { batchesOf } from './batches.ts';
import type { ShardKeys } from './keys.ts';
import type { RedisLink } from './redis-link.ts';
import { asList, asNumber, type Context, type Rubbish, recordText, toStoredNode, unread } from './replies.ts';

/** A shard into which records are restored. */
export interface RestorePlace {
  shard: number;
  keys: ShardKeys;
  epoch: string;
  /** Entries that the shard's log keeps, roughly. */
  logEntries: string;
  /** The bell's channel. */
  bell: string;
  /** Hub time. */
  now: number;
  context: Context;
}

/**
 * Restores lost records and removals with the script `restore`. `unmerged`: those with another state in the store.
 * `bad`: those with broken data in the store. Throws `StoreAwayError` and `LostDataError`.
 */
export async function restoreLost(
  link: RedisLink,
  { shard, keys, epoch, logEntries, bell, now, context }: RestorePlace,
  lost: readonly LostNode[],
): Promise<{ unmerged: NotRestored[]; bad: Array<{ one: LostNode; rubbish: Rubbish }> }> {
  const unmerged: NotRestored[] = [];
  const bad: Array<{ one: LostNode; rubbish: Rubbish }> = [];
  for (const { from, args } of batchesOf(lost, (one) => lostArguments(one, now))) {
    const reply = await link.run(shard, (client) =>
      client.fleetRestore(
        ...[keys.epoch, keys.deadlines, keys.events, keys.absent, epoch, keys.prefix],
        ...[logEntries, bell, shard],
        ...args,
      ),
    );
    const answers = asList(reply);
    if (answers[0] === 'epoch') throw new LostDataError(`shard ${shard} lost its data`);
    for (const answer of answers) {
      const [place, ...fields] = asList(answer);
      const one = lost[from + asNumber(place)];
      if (!one) continue;
      const id = one.kind === 'node' ? one.record.node.id : one.tombstone.id;
      const stored = fields[0] === 'bad' ? unread(id) : toStoredNode(id, fields, context);
      if ('kind' in stored) unmerged.push({ lost: one, stored });
      else bad.push({ one, rubbish: stored });
    }
  }
  return { unmerged, bad };
}

/** One node or tombstone of `restore`. */
function lostArguments(lost: LostNode, now: number): string[] {
  if (lost.kind === 'gone') {
    const { id, version } = lost.tombstone;
    return ['gone', id, String(version), String(Math.ceil(tombstoneLeftMs(lost.tombstone, now)))];
  }
  const { record, event } = lost;
  const { node, session, sessionSeq, instanceId, changeId } = record;
  const due = node.status === 'offline' ? 'never' : String(node.heartbeat.timeoutMs);
  return [
    ...['node', node.id, String(node.seq), changeId, session, String(sessionSeq), instanceId, node.status],
    ...[due, recordText(record), JSON.stringify(event)],
  ];
}
