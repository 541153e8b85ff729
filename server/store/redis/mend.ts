import type { BadData } from './bad-data.ts';
import type { FleetKeys } from './keys.ts';
import type { RedisLink } from './redis-link.ts';
import { asList, asText, type Rubbish } from './replies.ts';

/** What was put aside is kept for so long. */
export const QUARANTINE_MS = 7 * 24 * 3_600_000;
/** Keys of one shard that are kept aside at most; more are deleted. */
const MOST_KEPT = 100;

/** Puts aside what no hub wrote of a shard: its own keys of another type, and these nodes. Throws `StoreAwayError`. */
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
