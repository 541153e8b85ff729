import type { LastBeat } from '../fleet-store.ts';
import type { BadData } from './bad-data.ts';
import type { RedisLink } from './redis-link.ts';
import { asList, asNumber, asText, toStats, toTiming } from './replies.ts';
import type { AttachedShard } from './snapshot.ts';

/** A node and the timeout of its heartbeat, milliseconds. */
export interface TimedNode {
  id: string;
  timeoutMs: number;
}

/**
 * The last heartbeats of these nodes of one shard, derived from the rest of their timeouts, and their last stats. A
 * timeout in the store counts before the caller's, which may be outdated.
 */
export async function lastBeats(
  link: RedisLink,
  { shard, keys, epoch }: AttachedShard,
  nodes: readonly TimedNode[],
  bad: BadData,
): Promise<Array<[id: string, LastBeat]>> {
  const ids = nodes.map(({ id }) => id);
  const [now, ...answers] = asList(
    await link.run(shard, (client) => client.fleetStats(keys.epoch, keys.absent, epoch, keys.prefix, ...ids)),
  );
  if (now === 'epoch') return [];
  const found: Array<[string, LastBeat]> = [];
  for (const [index, { id, timeoutMs }] of nodes.entries()) {
    const [left, stats, session, timing] = answers.slice(4 * index, 4 * index + 4);
    const leftMs = asNumber(left);
    if (leftMs < 0) continue;
    const read = toStats(asText(stats));
    if (!read) bad.found('stats', keys.beat(id));
    const countsMs = toTiming(timing, session)?.timeoutMs ?? timeoutMs;
    const agoMs = countsMs - leftMs;
    found.push([id, { at: asNumber(now) - agoMs, agoMs, stats: read ?? {} }]);
  }
  return found;
}
