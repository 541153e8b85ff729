import calculateSlot from 'cluster-key-slot';

/** Slots of a Redis Cluster. */
export const SLOTS = 16_384;

/**
 * The shard of a node: CRC16 of its id, modulo the number of shards. The number is a power of two that divides the
 * number of slots, so the slot of the bare id gives the same remainder as its CRC16.
 */
export function shardOf(id: string, shards: number): number {
  return calculateSlot(id) % shards;
}
