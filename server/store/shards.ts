import calculateSlot from 'cluster-key-slot';

/** Slots of a Redis Cluster. */
export const SLOTS = 16_384;

/**
 * The shard of a node: CRC16 of its id, modulo the number of shards. SHARDS is a power of two that divides
 * the number of slots, so the slot of the bare id gives the same remainder as its CRC16.
 */
export function shardOf(id: string, shards: number): number {
  if (id !== newest.id) newest = { id, slot: calculateSlot(id) };
  return newest.slot % shards;
}

/** A registration asks half a dozen times in a row for the same node's. */
let newest = { id: '', slot: calculateSlot('') };
