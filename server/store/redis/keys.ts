import { slotTags } from './slot-tags.ts';

/** The names of one shard's keys. All of them lie in one slot, that of the shard's hash tag. */
export interface ShardKeys {
  /** What all of them begin with; scripts make the keys of a node from it. */
  prefix: string;
  epoch: string;
  deadlines: string;
  events: string;
  /**
   * Never written. While a slot of a Cluster is on its way to another master, the new one answers for any single
   * key as if what has not come yet were not there, but refuses calls of which a declared key is missing. So a
   * script that makes keys of its own declares this one: it runs where all of them are, or not at all.
   */
  absent: string;
  node(id: string): string;
  beat(id: string): string;
  gone(id: string): string;
}

/** Where a key of the whole fleet is put aside: in its own slot, so that RENAME can. */
export const quarantineOf = (keyPrefix: string, key: string): string => `${keyPrefix}:quarantine:{${key}}`;

/** The names of every key, and of the doorbell's channel. */
export interface FleetKeys {
  keyPrefix: string;
  /** The key format and the number of shards. */
  meta: string;
  /** Sorted set: hub id → when its lease ends, so that the leases need no scan. */
  hubs: string;
  hub(hubId: string): string;
  bell: string;
  shards: ShardKeys[];
}

const shardKeys = (prefix: string): ShardKeys => ({
  prefix,
  epoch: `${prefix}epoch`,
  deadlines: `${prefix}deadlines`,
  events: `${prefix}events`,
  absent: `${prefix}absent`,
  node: (id) => `${prefix}node:${id}`,
  beat: (id) => `${prefix}beat:${id}`,
  gone: (id) => `${prefix}gone:${id}`,
});

/** The keys of a fleet of so many shards under a prefix (`fleet`). */
export function fleetKeys(keyPrefix: string, shards: number): FleetKeys {
  return {
    keyPrefix,
    meta: `${keyPrefix}:meta`,
    hubs: `${keyPrefix}:hubs`,
    hub: (hubId) => `${keyPrefix}:hub:${hubId}`,
    bell: `${keyPrefix}:bell`,
    shards: slotTags(shards).map((tag) => shardKeys(`${keyPrefix}:{${tag}}:`)),
  };
}
