import {
  type Filter,
  type FleetEvent,
  type FleetNode,
  type HeartbeatTiming,
  isHole,
  matcher,
  type Status,
} from '../../shared/index.ts';
import type { Cancel, Clock } from '../runtime/clock.ts';
import { Slices } from '../runtime/slices.ts';
import {
  type LogEntry,
  type NodeRecord,
  type Position,
  type Stored,
  type Tombstone,
  withTiming,
} from '../store/fleet-store.ts';
import type { FleetView, ViewListener } from './fleet-view.ts';
import { NodeLists } from './node-lists.ts';
import { Tombstones } from './tombstones.ts';

/** How long the answer to a write waits for this hub's own view to show it. */
const VIEW_WAIT_MS = 1_000;

/** Records of a snapshot that are loaded before the clock is read again. */
const RECORDS_PER_SLICE = 50;

/** Records that are matched against a filter before the clock is read again. */
const RECORDS_PER_CHECK = 256;

/**
 * The whole fleet in memory, in the order of the log: a snapshot, then every event by `seq`. Lists, filters and counts
 * are answered from it. Records are never changed in place, so that a snapshot taken at one moment stays valid.
 */
export class View implements FleetView {
  readonly keepsRecords = true;
  /** The same nodes, indexed for lists. */
  readonly lists: NodeLists;
  readonly #records: Array<Map<string, NodeRecord>>;
  readonly tombstones: Tombstones;
  readonly #positions: Array<Position | undefined>;
  readonly #listeners = new Set<ViewListener>();
  readonly #waiting = new Map<string, Waiter[]>();
  /** The same waiters in order of their deadlines. */
  readonly #waitersInTime = new Set<Waiter>();
  #endWait: Cancel | undefined;
  readonly #shardOf: (id: string) => number;
  readonly #clock: Clock;
  readonly #slices: Slices;

  constructor(shards: number, shardOf: (id: string) => number, clock: Clock, slices = new Slices(clock)) {
    this.#records = Array.from({ length: shards }, () => new Map());
    this.tombstones = new Tombstones(shards);
    this.#positions = Array.from({ length: shards }, () => undefined);
    this.#shardOf = shardOf;
    this.#clock = clock;
    this.#slices = slices;
    this.lists = new NodeLists(this, clock, slices);
  }

  get size(): number {
    return this.#records.reduce((sum, shard) => sum + shard.size, 0);
  }

  /** True once every shard was loaded. */
  get loaded(): boolean {
    return this.#positions.every((position) => position !== undefined);
  }

  /** The applied position of each shard's log. Only of a loaded view. */
  positions(): Position[] {
    return this.#positions.map((position) => position ?? { epoch: '', at: '0-0' });
  }

  get(id: string): NodeRecord | undefined {
    return this.#records[this.#shardOf(id)]?.get(id);
  }

  *ids(): IterableIterator<string> {
    for (const shard of this.#records) yield* shard.keys();
  }

  stored(id: string): Stored {
    const record = this.get(id);
    if (record) return { kind: 'node', record, restored: false };
    const tombstone = this.tombstones.get(this.#shardOf(id), id);
    return tombstone ? { kind: 'gone', tombstone } : { kind: 'nothing' };
  }

  async find(filter: Filter): Promise<FleetNode[]> {
    const matches = matcher(filter);
    const found: FleetNode[] = [];
    // Copied synchronously, as a snapshot of one moment.
    for (const shard of this.#records.map((records) => [...records.values()])) {
      for (const [index, { node }] of shard.entries()) {
        if (index % RECORDS_PER_CHECK === 0 && this.#slices.over()) await this.#slices.forReader();
        if (matches(node)) found.push(node);
      }
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

  /** Calls back for each applied event and each reload. Returns a function that ends it. */
  listen(listener: ViewListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Replaces a shard with a fresh snapshot, in slices: reads meanwhile get some old records, and listeners are called
   * when the new ones are complete. To be called once at a time for a shard.
   */
  async load(
    shard: number,
    snapshot: readonly NodeRecord[],
    position: Position,
    reason: string,
  ): Promise<void> {
    const records = this.#records[shard];
    if (!records) throw new RangeError(`there is no shard ${shard}`);
    const wasLoaded = this.#positions[shard] !== undefined;
    const fresh = new Set<string>();
    for (const [index, record] of snapshot.entries()) {
      if (index % RECORDS_PER_SLICE === 0 && this.#slices.over()) await this.#slices.next();
      const { id, seq } = record.node;
      fresh.add(id);
      records.set(id, record);
      this.tombstones.returned(shard, record.node);
      this.lists.put(record.node);
      this.#settleWaiting(id, seq);
    }
    for (const id of records.keys()) {
      if (fresh.has(id)) continue;
      records.delete(id);
      this.lists.delete(id);
    }
    this.#positions[shard] = position;
    if (wasLoaded) for (const listener of this.#listeners) listener.reloaded(reason);
  }

  /**
   * Sets another timing of the node for this session, which no event announces. Returns the record; undefined if the
   * view has another session's, or none.
   */
  retime(id: string, session: string, timing: HeartbeatTiming): NodeRecord | undefined {
    const records = this.#records[this.#shardOf(id)];
    const record = records?.get(id);
    if (record?.session !== session) return undefined;
    const retimed = withTiming(record, timing);
    if (retimed === record) return record;
    records?.set(id, retimed);
    this.lists.put(retimed.node);
    return retimed;
  }

  /** The log was read up to here without a further entry. */
  advance(shard: number, position: Position): void {
    this.#positions[shard] = position;
  }

  /**
   * Applies one entry of the log. Known entries are skipped. `hole`: with `strict` (once the shard has caught up), a
   * version between this one and the known one is missing.
   */
  apply(shard: number, entry: LogEntry, strict: boolean): 'applied' | 'known' | 'hole' {
    const { event } = entry;
    const records = this.#records[shard];
    if (!records) throw new RangeError(`there is no shard ${shard}`);
    const before = records.get(event.nodeId);
    const tombstone = this.tombstones.get(shard, event.nodeId);
    const removed = tombstone && !beginsAnew(event, tombstone) ? tombstone.version : undefined;
    const known = before?.node.seq ?? removed;
    if (known !== undefined && event.seq <= known) return 'known';
    if (strict && isHole(event, known)) return 'hole';
    if (event.type === 'removed') {
      records.delete(event.nodeId);
      this.lists.delete(event.nodeId);
      this.tombstones.remember(shard, event);
    } else {
      records.set(event.nodeId, entry.record);
      this.lists.put(event.node);
      this.tombstones.returned(shard, event.node);
    }
    const after = event.type === 'removed' ? undefined : event.node;
    for (const listener of this.#listeners) listener.changed({ event, before: before?.node, after });
    this.#settleWaiting(event.nodeId, event.seq);
    return 'applied';
  }

  /**
   * Waits until this version of a node is applied, so that the client of a write can read it. Gives up after a second:
   * the write itself stands.
   */
  waitFor(id: string, seq: number): Promise<void> {
    const known = this.get(id)?.node.seq ?? this.tombstones.get(this.#shardOf(id), id)?.version ?? 0;
    if (known >= seq) return Promise.resolve();
    return new Promise((done) => {
      const waiter = { id, seq, until: this.#clock.now() + VIEW_WAIT_MS, done };
      const others = this.#waiting.get(id);
      if (others) others.push(waiter);
      else this.#waiting.set(id, [waiter]);
      this.#waitersInTime.add(waiter);
      this.#endWait ??= this.#clock.after(VIEW_WAIT_MS, () => this.#giveUp());
    });
  }

  #settleWaiting(id: string, seq: number): void {
    const waiters = this.#waiting.get(id);
    if (waiters) for (const waiter of [...waiters]) if (waiter.seq <= seq) this.#endWaiter(waiter);
  }

  /** One timer for all waiters: in a storm there are thousands. */
  #giveUp(): void {
    this.#endWait = undefined;
    const now = this.#clock.now();
    for (const waiter of this.#waitersInTime) {
      if (waiter.until > now) {
        this.#endWait = this.#clock.after(waiter.until - now, () => this.#giveUp());
        return;
      }
      this.#endWaiter(waiter);
    }
  }

  #endWaiter(waiter: Waiter): void {
    const left = this.#waiting.get(waiter.id)?.filter((other) => other !== waiter) ?? [];
    if (left.length > 0) this.#waiting.set(waiter.id, left);
    else this.#waiting.delete(waiter.id);
    this.#waitersInTime.delete(waiter);
    if (this.#waitersInTime.size === 0) {
      this.#endWait?.();
      this.#endWait = undefined;
    }
    waiter.done();
  }
}

/** The store's tombstone had expired when the node registered again, so that its versions begin at 1 again. */
function beginsAnew({ type, seq, node }: FleetEvent, { version, removal }: Tombstone): boolean {
  return type === 'registered' && seq <= version && removal !== undefined && node.registeredAt > removal.at;
}

/** A caller that waits for a write to be visible. */
interface Waiter {
  id: string;
  seq: number;
  /** Hub time of its deadline. */
  until: number;
  done: () => void;
}
