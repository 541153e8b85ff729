import calculateSlot from 'cluster-key-slot';
import { SLOTS } from '../shards.ts';

/**
 * The hash tag of each shard. A Redis Cluster gives each master a range of the slots, so shard `i` takes the shortest
 * tag whose slot is near the middle of the i-th of as many equal ranges: then every master gets its fair number of
 * shards, for any number of masters. The table depends on the number of shards only; a change of its algorithm would
 * orphan the keys of every fleet.
 */
export function slotTags(shards: number): string[] {
  const range = SLOTS / shards;
  const tags = new Map<number, string>();
  for (let candidate = 0; tags.size < shards; candidate += 1) {
    const tag = candidate.toString(36);
    const slot = calculateSlot(tag);
    const shard = Math.floor(slot / range);
    const fromMiddle = Math.abs(slot - (shard + 0.5) * range);
    if (fromMiddle <= range / 8 && !tags.has(shard)) tags.set(shard, tag);
  }
  return Array.from({ length: shards }, (_, shard) => tags.get(shard) ?? '');
}
