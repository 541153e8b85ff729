import type { BadData } from './bad-data.ts';
import type { FleetKeys } from './keys.ts';
import type { RedisLink } from './redis-link.ts';
import { asList, asText, type Rubbish } from './replies.ts';

/** How long a key that was put aside is kept. */
export const QUARANTINE_MS = 7 * 24 * 3_600_000;
/** The most keys of one shard that are kept aside; more are deleted. */
const MOST_KEPT = 100;

/**
 * Puts aside the data of a shard that no hub wrote: its own keys of another type, and these nodes. Throws
 * `StoreAwayError`.
 */
export async function mend(
  link: RedisLink,
  keys: FleetKeys,
  shard: number,
  { nodes, bad }: { nodes: readonly Rubbish[]; bad: BadData },
): Promise<void> {
  const of = keys.shards[shard];
  if (!of) return;
  const moved = await link.run(shard, (client) =>
    client.fleetMend(
      ...[of.epoch, of.deadlines, of.events, of.absent, of.prefix],
      ...[MOST_KEPT, QUARANTINE_MS, keys.bell, shard],
      ...nodes.flatMap(({ id, version, changeId }) => [id, version, changeId]),
    ),
  );
  for (const name of asList(moved)) bad.found('key', `${of.prefix}${asText(name)}`);
}
