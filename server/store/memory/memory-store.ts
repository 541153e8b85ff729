import { randomBytes } from 'node:crypto';
import type { FleetEvent } from '../../../shared/index.ts';
import type { Clock } from '../../runtime/clock.ts';
import { ChangeNames } from '../change-names.ts';
import {
  type Beat,
  type BeatAnswer,
  type Change,
  type CommitOutcome,
  comparePositions,
  type FleetStore,
  type HeldLease,
  type HubLease,
  type LastBeat,
  LOG_ENTRIES_PER_SHARD,
  type LogEntry,
  type LogPlace,
  LostDataError,
  type LostNode,
  type NodeRecord,
  type NotRestored,
  type Position,
  type RetimeAnswer,
  type Retiming,
  type Stored,
  type TickAnswer,
  type TickRequest,
} from '../fleet-store.ts';
import { shardOf } from '../shards.ts';
import { MemoryShard } from './memory-shard.ts';

/** The data of a memory store: the counterpart of a Redis server. Several stores may share one in tests. */
export class MemoryFleet {
  readonly shards: MemoryShard[];
  readonly leases = new Map<string, { lease: HubLease; until: number }>();
  readonly bells = new Set<(shard: number) => void>();

  constructor(
    readonly clock: Clock,
    shards = 1,
    /** Entries that each shard's log keeps, roughly, beside one for each node. */
    private readonly logEntries: number = LOG_ENTRIES_PER_SHARD,
  ) {
    this.shards = Array.from({ length: shards }, () => this.#emptyShard());
  }

  /** Deletes all data of one shard, as an emptied Redis does. */
  empty(shard: number): void {
    this.shards[shard] = this.#emptyShard();
  }

  ring(shard: number): void {
    for (const listener of this.bells) listener(shard);
  }

  #emptyShard(): MemoryShard {
    const epoch = randomBytes(6).toString('base64url');
    const { clock } = this;
    return new MemoryShard(
      epoch,
      () => clock.now(),
      () => clock.wall(),
      this.logEntries,
    );
  }
}

/** The embedded store: one hub, nothing to install. */
export class MemoryStore implements FleetStore {
  readonly shards: number;
  readonly #fleet: MemoryFleet;
  readonly #epochs = new Map<number, string>();
  readonly #bells = new Set<() => void>();
  readonly #names = new ChangeNames();

  constructor(fleet: MemoryFleet) {
    this.#fleet = fleet;
    this.shards = fleet.shards.length;
  }

  shardOf(id: string): number {
    return shardOf(id, this.shards);
  }

  async open(): Promise<void> {}

  async close(): Promise<void> {
    for (const end of this.#bells) end();
  }

  async attach(shard: number): Promise<void> {
    this.#epochs.set(shard, this.#shard(shard).epoch);
  }

  async read(id: string): Promise<Stored> {
    return this.#attached(this.shardOf(id)).read(id);
  }

  newChangeId(): string {
    return this.#names.next();
  }

  async commit(change: Change): Promise<CommitOutcome> {
    const shard = this.shardOf(change.id);
    const data = this.#shard(shard);
    if (data.epoch !== this.#epochs.get(shard)) return 'epoch';
    const outcome = data.commit(change);
    if (outcome === 'done') this.#fleet.ring(shard);
    return outcome;
  }

  async beat(shard: number, beats: readonly Beat[], followed?: Position): Promise<BeatAnswer> {
    const data = this.#shard(shard);
    return data.epoch === this.#epochs.get(shard) ? data.beat(beats, followed) : 'epoch';
  }

  async retime(shard: number, retimings: readonly Retiming[]): Promise<RetimeAnswer> {
    const data = this.#shard(shard);
    return data.epoch === this.#epochs.get(shard) ? data.retime(retimings) : 'epoch';
  }

  async stats(nodes: ReadonlyArray<{ id: string; timeoutMs: number }>): Promise<Map<string, LastBeat>> {
    const found = new Map<string, LastBeat>();
    for (const { id, timeoutMs } of nodes) {
      const shard = this.shardOf(id);
      const data = this.#shard(shard);
      const beat = data.epoch === this.#epochs.get(shard) ? data.lastBeat(id, timeoutMs) : undefined;
      if (beat) found.set(id, beat);
    }
    return found;
  }

  async snapshot(shard: number): Promise<{ position: Position; pages: AsyncIterable<NodeRecord[]> }> {
    const data = this.#attached(shard);
    const records = data.records();
    async function* pages(): AsyncGenerator<NodeRecord[]> {
      yield records;
    }
    return { position: data.position(), pages: pages() };
  }

  async tick(shard: number, request: TickRequest): Promise<TickAnswer> {
    const data = this.#shard(shard);
    const epoch = this.#epochs.get(shard);
    if (data.epoch !== epoch || request.after.epoch !== epoch) return { kind: 'epoch' };
    return data.tick(request);
  }

  /** There is no other writer. */
  onPutAside(): () => void {
    return () => {};
  }

  onBell(listener: (shard: number) => void): () => void {
    this.#fleet.bells.add(listener);
    const end = () => {
      this.#fleet.bells.delete(listener);
      this.#bells.delete(end);
    };
    this.#bells.add(end);
    return end;
  }

  async replay(shard: number, after: Position, upTo: Position, limit: number): Promise<LogEntry[] | 'gap'> {
    const data = this.#shard(shard);
    if (data.epoch !== after.epoch || data.epoch !== upTo.epoch) return 'gap';
    const entries = data.entriesAfter(after, limit);
    return Array.isArray(entries) ? entries.filter(({ at }) => comparePositions(at, upTo.at) <= 0) : 'gap';
  }

  async locate(shard: number, atMs: number): Promise<LogPlace> {
    return this.#shard(shard).locate(atMs);
  }

  async history({ id, limit }: { id?: string; limit: number }): Promise<FleetEvent[]> {
    const shards = id === undefined ? this.#fleet.shards : [this.#shard(this.shardOf(id))];
    return shards
      .flatMap((data) => data.newestFirst())
      .filter((event) => id === undefined || event.nodeId === id)
      .sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0))
      .slice(0, limit);
  }

  async restore(shard: number, lost: readonly LostNode[]): Promise<NotRestored[]> {
    const data = this.#attached(shard);
    const unmerged = lost.map((node) => data.restore(node)).filter((answer) => answer !== undefined);
    this.#fleet.ring(shard);
    return unmerged;
  }

  /** Its clock is the hub's monotonic one, which cannot be set. */
  async settleClock(): Promise<void> {}

  async settleLeases(): Promise<void> {}

  async nodeCount(): Promise<number> {
    return this.#fleet.shards.reduce((sum, data) => sum + data.size, 0);
  }

  async renewLease(lease: HubLease, ttlMs: number): Promise<void> {
    this.#fleet.leases.set(lease.hubId, { lease, until: this.#fleet.clock.now() + ttlMs });
  }

  async dropLease(hubId: string): Promise<void> {
    this.#fleet.leases.delete(hubId);
  }

  async leases(): Promise<HeldLease[]> {
    const now = this.#fleet.clock.now();
    for (const [hubId, { until }] of this.#fleet.leases) if (until <= now) this.#fleet.leases.delete(hubId);
    return [...this.#fleet.leases.values()].map(({ lease, until }) => ({ lease, leftMs: until - now }));
  }

  #shard(shard: number): MemoryShard {
    const data = this.#fleet.shards[shard];
    if (!data) throw new RangeError(`there is no shard ${shard}`);
    return data;
  }

  #attached(shard: number): MemoryShard {
    const data = this.#shard(shard);
    if (data.epoch !== this.#epochs.get(shard)) throw new LostDataError(`shard ${shard} lost its data`);
    return data;
  }
}
