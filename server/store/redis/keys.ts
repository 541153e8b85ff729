import { slotTags } from './slot-tags.ts';

/** The names of one shard's keys. All are in one slot, that of the shard's hash tag. */
export interface ShardKeys {
  /** The common prefix; scripts derive the keys of a node from it. */
  prefix: string;
  epoch: string;
  deadlines: string;
  events: string;
  /**
   * Never written. While a slot of a Cluster migrates to another master, the new one treats any single key that has not
   * arrived as absent, but refuses calls of which a declared key is missing. So a script that derives keys declares
   * this one: it runs only where all keys are.
   */
  absent: string;
  node(id: string): string;
  beat(id: string): string;
  gone(id: string): string;
}

/** The name of a whole fleet's key that is put aside: in its own slot, so that RENAME works. */
export const quarantineOf = (keyPrefix: string, key: string): string => `${keyPrefix}:quarantine:{${key}}`;

/** The names of every key, and of the bell's channel. */
export interface FleetKeys {
  keyPrefix: string;
  /** The key format and the number of shards. */
  meta: string;
  /** Sorted set: hub id → the end of its lease, so that reading the leases needs no scan. */
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

/** The keys of a fleet with this number of shards under a prefix (`fleet`). */
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
