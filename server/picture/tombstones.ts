import type { FleetEvent, FleetNode } from '../../shared/index.ts';
import type { Tombstone } from '../store/fleet-store.ts';

/** Removals that are kept per shard, to restore them into a store that lost them. */
const MOST_PER_SHARD = 10_000;

/** The removals that a hub saw, by shard: the newest of each node, even if the node registered again since. */
export class Tombstones {
  readonly #shards: Array<Map<string, Removed>>;

  constructor(shards: number) {
    this.#shards = Array.from({ length: shards }, () => new Map());
  }

  /** A removal in the log. */
  remember(shard: number, event: FleetEvent): void {
    this.#keep(shard, event, false);
  }

  /**
   * This hub removed a node, and has not read the removal in the log: the store may lose the end of the log at this
   * moment.
   */
  wrote(shard: number, event: FleetEvent): void {
    this.#keep(shard, event, true);
  }

  #keep(shard: number, { nodeId: id, seq, at, node }: FleetEvent, unread: boolean): void {
    const removed = this.#shards[shard];
    const known = removed?.get(id);
    if (known?.version === seq && !unread) known.unread = false;
    if (!removed || (known && known.version >= seq && known.removal.at >= at)) return;
    const removal = { registeredAt: node.registeredAt, at };
    removed.delete(id);
    removed.set(id, { id, version: seq, removal, returned: false, unread });
    const [oldest] = removed.keys();
    if (removed.size > MOST_PER_SHARD && oldest !== undefined) removed.delete(oldest);
  }

  /**
   * The node exists. The proof is its version, or, if the store's tombstone had expired and versions began at 1 again,
   * the time of its registration.
   */
  returned(shard: number, { id, seq, registeredAt }: FleetNode): void {
    const removed = this.#shards[shard]?.get(id);
    if (removed && (seq > removed.version || registeredAt > removed.removal.at)) removed.returned = true;
  }

  /** The tombstone of a node that is gone. */
  get(shard: number, id: string): Tombstone | undefined {
    const removed = this.#shards[shard]?.get(id);
    return removed?.returned ? undefined : removed;
  }

  /** The last removal of a node, even if it registered again. */
  removalOf(shard: number, id: string): Tombstone['removal'] {
    return this.#shards[shard]?.get(id)?.removal;
  }

  /** Removals that this hub wrote and has not read in the log. */
  unread(shard: number): Tombstone[] {
    const removed = [...(this.#shards[shard]?.values() ?? [])];
    return removed
      .filter(({ unread }) => unread)
      .map(({ id, version, removal }) => ({ id, version, removal }));
  }

  /** The tombstones of nodes that are gone. */
  *ofShard(shard: number): Iterable<Tombstone> {
    for (const { returned, id, version, removal } of this.#shards[shard]?.values() ?? [])
      if (!returned) yield { id, version, removal };
  }
}

interface Removed extends Tombstone {
  removal: NonNullable<Tombstone['removal']>;
  /** The node registered again since: only what is older than the removal is still gone. */
  returned: boolean;
  /** Not read in the log yet: this hub wrote it, and the store may still lose it. */
  unread: boolean;
}
