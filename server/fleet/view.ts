import { type Filter, type FleetEvent, type FleetNode, matcher, type Status } from '../../shared/index.ts';
import type { Cancel, Clock } from '../clock.ts';
import type { LogEntry, NodeRecord, Position, Tombstone } from '../store/fleet-store.ts';
import { NodeLists } from './node-lists.ts';

/** One event as the view applied it: what the node was before, and what it is now. */
export interface Applied {
  event: FleetEvent;
  before: FleetNode | undefined;
  after: FleetNode | undefined;
}

/** The view lost the thread and was loaded afresh: what it shows may have changed without events. */
export type ViewListener = { changed: (applied: Applied) => void; reloaded: (reason: string) => void };

/** Tombstones that are remembered per shard, to put them back into a store that lost them. */
const TOMBSTONES = 10_000;

/**
 * The whole fleet in memory, in the order of the log: a snapshot, then every event by `seq`. Lists, filters
 * and counts are answered from it. Records are never changed in place, so that a picture taken at one moment
 * stays what it was.
 */
export class View {
  /** The same nodes by what lists ask for. */
  readonly lists: NodeLists;
  readonly #records: Array<Map<string, NodeRecord>>;
  readonly #gone: Array<Map<string, number>>;
  readonly #positions: Array<Position | undefined>;
  readonly #listeners = new Set<ViewListener>();
  readonly #waiting = new Map<string, Set<{ seq: number; done: () => void }>>();
  readonly #shardOf: (id: string) => number;
  readonly #clock: Clock;

  constructor(shards: number, shardOf: (id: string) => number, clock: Clock) {
    this.#records = Array.from({ length: shards }, () => new Map());
    this.#gone = Array.from({ length: shards }, () => new Map());
    this.#positions = Array.from({ length: shards }, () => undefined);
    this.#shardOf = shardOf;
    this.#clock = clock;
    this.lists = new NodeLists(this, clock);
  }

  get size(): number {
    return this.#records.reduce((sum, shard) => sum + shard.size, 0);
  }

  /** True once every shard was loaded. */
  get loaded(): boolean {
    return this.#positions.every((position) => position !== undefined);
  }

  /** How far the view has got in each shard's log. Only of a loaded view. */
  positions(): Position[] {
    return this.#positions.map((position) => position ?? { epoch: '', at: '0-0' });
  }

  get(id: string): NodeRecord | undefined {
    return this.#records[this.#shardOf(id)]?.get(id);
  }

  *ids(): IterableIterator<string> {
    for (const shard of this.#records) yield* shard.keys();
  }

  /** The version at which a node was removed, where the view saw it go. */
  goneAt(id: string): number | undefined {
    return this.#gone[this.#shardOf(id)]?.get(id);
  }

  /** The nodes that match, in no order. */
  select(filter: Filter): FleetNode[] {
    const matches = matcher(filter);
    const found: FleetNode[] = [];
    for (const shard of this.#records) {
      for (const { node } of shard.values()) if (matches(node)) found.push(node);
    }
    return found;
  }

  countByStatus(): Record<Status, number> {
    const counts = { online: 0, degraded: 0, unreachable: 0, offline: 0 };
    for (const shard of this.#records) for (const { node } of shard.values()) counts[node.status] += 1;
    return counts;
  }

  recordsOf(shard: number): NodeRecord[] {
    return [...(this.#records[shard]?.values() ?? [])];
  }

  tombstonesOf(shard: number): Tombstone[] {
    return [...(this.#gone[shard] ?? [])].map(([id, version]) => ({ id, version }));
  }

  /** Calls back for each applied event and each reload. Returns its end. */
  listen(listener: ViewListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Puts a fresh snapshot in the place of a shard. */
  load(shard: number, records: Iterable<NodeRecord>, position: Position, reason: string): void {
    const wasLoaded = this.#positions[shard] !== undefined;
    const fresh = new Map<string, NodeRecord>();
    for (const record of records) {
      fresh.set(record.node.id, record);
      this.#gone[shard]?.delete(record.node.id);
    }
    const before = this.#records[shard];
    this.#records[shard] = fresh;
    for (const id of before?.keys() ?? []) if (!fresh.has(id)) this.lists.delete(id);
    for (const { node } of fresh.values()) this.lists.put(node);
    this.#positions[shard] = position;
    for (const { node } of fresh.values()) this.#settleWaiting(node.id, node.seq);
    if (wasLoaded) for (const listener of this.#listeners) listener.reloaded(reason);
  }

  /** The log was read up to here without a further entry. */
  advance(shard: number, position: Position): void {
    this.#positions[shard] = position;
  }

  /**
   * Applies one entry of the log. Entries that are already known are passed over. `hole`: with `strict` (once
   * the shard has caught up), a version between this one and the known one is missing.
   */
  apply(shard: number, entry: LogEntry, strict: boolean): 'applied' | 'known' | 'hole' {
    const { event } = entry;
    const records = this.#records[shard];
    const gone = this.#gone[shard];
    if (!records || !gone) throw new RangeError(`there is no shard ${shard}`);
    const before = records.get(event.nodeId);
    const known = before?.node.seq ?? gone.get(event.nodeId);
    if (known !== undefined && event.seq <= known) return 'known';
    if (strict && isHole(event, known)) return 'hole';
    if (event.type === 'removed') {
      records.delete(event.nodeId);
      this.lists.delete(event.nodeId);
      this.#remember(gone, event);
    } else {
      const { session, sessionSeq, instanceId, changeId } = entry;
      records.set(event.nodeId, { node: event.node, session, sessionSeq, instanceId, changeId });
      this.lists.put(event.node);
      gone.delete(event.nodeId);
    }
    const after = event.type === 'removed' ? undefined : event.node;
    for (const listener of this.#listeners) listener.changed({ event, before: before?.node, after });
    this.#settleWaiting(event.nodeId, event.seq);
    return 'applied';
  }

  #remember(gone: Map<string, number>, event: FleetEvent): void {
    gone.delete(event.nodeId);
    gone.set(event.nodeId, event.seq);
    const [oldest] = gone.keys();
    if (gone.size > TOMBSTONES && oldest !== undefined) gone.delete(oldest);
  }

  /**
   * Waits until the view has applied this version of a node, so that whoever is told of a write can read it.
   * Gives up after `withinMs`: the write itself stands.
   */
  waitFor(id: string, seq: number, withinMs: number): Promise<void> {
    const known = this.get(id)?.node.seq ?? this.goneAt(id) ?? 0;
    if (known >= seq) return Promise.resolve();
    return new Promise((resolve) => {
      let cancel: Cancel = () => {};
      const waiter = {
        seq,
        done: () => {
          cancel();
          this.#forgetWaiter(id, waiter);
          resolve();
        },
      };
      cancel = this.#clock.after(withinMs, waiter.done);
      const waiters = this.#waiting.get(id) ?? new Set();
      this.#waiting.set(id, waiters.add(waiter));
    });
  }

  #settleWaiting(id: string, seq: number): void {
    for (const waiter of this.#waiting.get(id) ?? []) if (waiter.seq <= seq) waiter.done();
  }

  #forgetWaiter(id: string, waiter: { seq: number; done: () => void }): void {
    const waiters = this.#waiting.get(id);
    if (waiters?.delete(waiter) && waiters.size === 0) this.#waiting.delete(id);
  }
}

/** A version is missing before this event. Restored records and first registrations may begin anywhere. */
function isHole(event: FleetEvent, known: number | undefined): boolean {
  if (event.reason === 'store_restored') return false;
  if (known === undefined) return event.type !== 'registered';
  return event.seq !== known + 1;
}
