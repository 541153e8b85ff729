import { decideMerge, lostNode } from '../rules/restore.ts';
import {
  type LostNode,
  type NodeRecord,
  type NotRestored,
  type Tombstone,
  withTiming,
} from '../store/fleet-store.ts';
import { type FleetCore, newerRecord } from './core.ts';
import type { Decide } from './node-writes.ts';
import type { Pacing } from './pacing.ts';

/** Lost records that are restored in one call. */
const RESTORE_PAGE = 200;

/**
 * Restores what the store lost: records, sessions and removals that this hub knows. Nodes with another record in the
 * store are merged by the rules of restore.
 */
export class Recovery {
  readonly #core: FleetCore;
  readonly #pacing: Pacing;

  constructor(core: FleetCore, pacing: Pacing) {
    this.#core = core;
    this.#pacing = pacing;
  }

  /** The nodes that this hub can restore into a shard: its whole view if that was complete, else its own sessions. */
  lostNodes(shard: number, viewIsWhole: boolean): LostNode[] {
    const { view, sessions } = this.#core;
    const records = new Map<string, NodeRecord>();
    if (viewIsWhole)
      for (const record of view.recordsOf(shard))
        records.set(record.node.id, this.#withLongestTiming(record));
    for (const { nodeId, record, timing } of sessions.ofShard(shard)) {
      const seen = records.get(nodeId);
      const newest = !seen || record.node.seq > seen.node.seq ? record : seen;
      records.set(nodeId, newest.session === record.session ? withTiming(newest, timing) : newest);
    }
    const lost: LostNode[] = [];
    // Of any age: a registration after the removal stands all the same.
    for (const tombstone of view.tombstones.ofShard(shard)) {
      lost.push({ kind: 'gone', tombstone });
      const record = records.get(tombstone.id);
      if (record && record.node.seq < tombstone.version) records.delete(tombstone.id);
    }
    for (const record of records.values()) lost.push(this.#lostNode(record));
    return lost;
  }

  /**
   * Restores these nodes. To be repeated from the start after a failure: earlier pages may have been lost again, and a
   * repeated restore is harmless. Throws `StoreAwayError` and `LostDataError`.
   */
  async restore(shard: number, lost: readonly LostNode[]): Promise<void> {
    const { store } = this.#core;
    for (let from = 0; from < lost.length; from += RESTORE_PAGE)
      await this.#merge(await store.restore(shard, lost.slice(from, from + RESTORE_PAGE)));
  }

  /** Restores what this hub knows of one node. Throws `StoreAwayError` and `LostDataError`. */
  async putBack(id: string): Promise<void> {
    const { store, sessions, view } = this.#core;
    const session = sessions.get(id);
    session?.confirmAgain();
    const record = newerRecord(session && withTiming(session.record, session.timing), view.get(id));
    if (record) await this.restore(store.shardOf(id), [this.#lostNode(record)]);
  }

  /**
   * The store was away: removals that this hub has not read in the log may be lost without a trace. Throws
   * `StoreAwayError` and `LostDataError`.
   */
  async putBackRemovals(shard: number): Promise<void> {
    await this.restore(shard, this.#core.view.tombstones.unread(shard).map(goneNode));
  }

  /**
   * The store's clock was set forwards, which may have expired tombstones: those in this hub's memory are restored.
   * Throws `StoreAwayError` and `LostDataError`.
   */
  async keepRemovals(shard: number): Promise<void> {
    await this.restore(shard, [...this.#core.view.tombstones.ofShard(shard)].map(goneNode));
  }

  #lostNode(record: NodeRecord): LostNode {
    const { store, shards, view } = this.#core;
    const { id } = record.node;
    return lostNode(record, shards.of(id).storeNow(), view.tombstones.removalOf(store.shardOf(id), id));
  }

  /**
   * The hub that holds this node's socket may have given it a longer timeout than this hub knows: the node gets the
   * longest, until that hub writes a better one. So does an unreachable node, which may have registered on another hub
   * since.
   */
  #withLongestTiming(record: NodeRecord): NodeRecord {
    const { longest } = this.#pacing;
    const { heartbeat, connection, status } = record.node;
    if (status === 'offline' || connection?.transport === 'http') return record;
    if (heartbeat.timeoutMs >= longest.timeoutMs) return record;
    return withTiming(record, longest);
  }

  /** Merges nodes whose stored record differs from this hub's. */
  async #merge(unmerged: readonly NotRestored[]): Promise<void> {
    const { writes } = this.#core;
    await Promise.all(
      unmerged.map(({ lost, stored }) => {
        const id = lost.kind === 'node' ? lost.record.node.id : lost.tombstone.id;
        const decide: Decide = (now, stamp) => decideMerge({ lost, stored: now }, stamp);
        return writes.settle(id, decide, () => stored);
      }),
    );
  }
}

const goneNode = (tombstone: Tombstone): LostNode => ({ kind: 'gone', tombstone });
