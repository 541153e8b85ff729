import type { FleetEvent, FleetNode } from '../../shared/index.ts';
import type { Tombstone } from '../store/fleet-store.ts';

/** Removals that are remembered per shard, to put them back into a store that lost them. */
const MOST_PER_SHARD = 10_000;

interface Removed extends Tombstone {
  removal: NonNullable<Tombstone['removal']>;
  /** The node registered again since: only what is older than the removal is still gone. */
  returned: boolean;
  /** It was not yet read in the log: who wrote it knows of it, and whether it lasts is not known. */
  unread: boolean;
}

/** The removals that a hub saw, by shard: the newest of each node, also where it registered again since. */
export class Tombstones {
  readonly #shards: Array<Map<string, Removed>>;

  constructor(shards: number) {
    this.#shards = Array.from({ length: shards }, () => new Map());
  }

  /** A node was removed, as the log says. */
  remember(shard: number, event: FleetEvent): void {
    this.#keep(shard, event, false);
  }

  /** This hub removed a node, which it has not read in the log: the store may lose the end of that at this moment. */
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
   * The node is there. Its version says so, or where the store's tombstone had ended and it began at 1 again, the time
   * of its registration.
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

  /** The last removal of a node, whether or not it is there again. */
  removalOf(shard: number, id: string): Tombstone['removal'] {
    return this.#shards[shard]?.get(id)?.removal;
  }

  /** Those that this hub wrote and did not read in the log. */
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
