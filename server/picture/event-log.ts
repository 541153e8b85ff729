import { type FleetEvent, jsonBytes } from '../../shared/index.ts';
import type { Clock } from '../runtime/clock.ts';
import { Semaphore } from '../runtime/semaphore.ts';
import type { Slices } from '../runtime/slices.ts';
import { comparePositions, type FleetStore, type LogEntry, type Position } from '../store/fleet-store.ts';
import { CursorCodec, subscriptionKey } from './cursor.ts';
import type { FleetView } from './fleet-view.ts';
import { isAhead, viewReaches } from './replay.ts';

/** Entries of a shard in one read. */
const ENTRIES_PER_READ = 250;
const LEAST_PER_READ = 16;
/** A page ends with the event that reaches this, whatever its limit. */
const PAGE_BYTES = 1024 * 1024;
/** Pages that are read at a time. */
const PAGES_AT_A_TIME = 4;

export type EventPage =
  | { kind: 'events'; events: FleetEvent[]; positions: Position[]; more: boolean }
  /** The log does not reach back that far, or the store lost data since. */
  | { kind: 'gap' };

/**
 * The log of the whole fleet for programs: pages after a cursor, events roughly in order of time and exactly in order
 * for each node. The cursor is that of a Socket.IO subscription without a filter.
 */
export class EventLog {
  readonly codec = new CursorCodec(subscriptionKey({}, 'full'));
  readonly #store: FleetStore;
  readonly #view: FleetView;
  readonly #clock: Clock;
  readonly #slices: Slices;
  readonly #places = new Semaphore(PAGES_AT_A_TIME);

  constructor({ store, view, slices }: { store: FleetStore; view: FleetView; slices: Slices }, clock: Clock) {
    this.#store = store;
    this.#view = view;
    this.#clock = clock;
    this.#slices = slices;
  }

  /** The cursor of this moment: everything that this hub has applied. */
  now(): string {
    return this.codec.encode(this.#view.positions());
  }

  /** The positions of a cursor; a gap if the store's data was replaced since. */
  async locate(cursor: string): Promise<Position[] | 'gap'> {
    const positions = this.codec.decode(cursor, this.#view.positions());
    if (!positions) return 'gap';
    // The hub that issued the cursor may be ahead of this one.
    await viewReaches(this.#view, positions, this.#clock);
    return positions;
  }

  /**
   * The positions of the first events of this time or later, milliseconds by the store's clock. `keptSince`: the log does
   * not reach back that far; what was before this time is not kept. Throws `StoreAwayError`.
   */
  async since(atMs: number): Promise<{ positions: Position[]; keptSince: number | undefined }> {
    const now = this.#view.positions();
    const places = await Promise.all(now.map((_, shard) => this.#store.locate(shard, atMs)));
    const positions = now.map(({ epoch, at }, shard) => ({ epoch, at: places[shard]?.at ?? at }));
    const kept = places.map(({ keptSince }) => keptSince).filter((since) => since !== undefined);
    return { positions, keptSince: kept.length > 0 ? Math.max(...kept) : undefined };
  }

  /** At most `limit` events after these positions. Throws `StoreAwayError`. */
  page(from: readonly Position[], limit: number): Promise<EventPage> {
    return this.#places.use(() => this.#page(from, limit));
  }

  async #page(from: readonly Position[], limit: number): Promise<EventPage> {
    const upTo = this.#view.positions();
    // Twice the share of each shard if all are equally busy; a page ends early if one runs out and has more.
    const share = Math.max(LEAST_PER_READ, Math.ceil((2 * limit) / upTo.length));
    const size = Math.min(limit, share, ENTRIES_PER_READ);
    const shards: ShardPage[] = [];
    for (const [shard, target] of upTo.entries()) {
      const at = from[shard];
      if (!at) return { kind: 'gap' };
      if (at.epoch !== target.epoch) return { kind: 'gap' };
      if (comparePositions(at.at, target.at) >= 0) {
        shards.push({ entries: [], next: 0, whole: true });
        continue;
      }
      await this.#slices.forReader();
      const entries = await this.#store.replay(shard, at, target, size);
      if (entries === 'gap') return { kind: 'gap' };
      shards.push({ entries, next: 0, whole: entries.length < size });
    }
    const events = merge(shards, limit);
    const positions = shards.map(({ entries, next, whole }, shard): Position => {
      const before = from[shard] ?? { epoch: '', at: '0-0' };
      const target = upTo[shard] ?? before;
      if (whole && next === entries.length)
        return comparePositions(before.at, target.at) > 0 ? before : target;
      return { epoch: before.epoch, at: entries[next - 1]?.at ?? before.at };
    });
    return { kind: 'events', events, positions, more: isAhead(upTo, positions) };
  }
}

interface ShardPage {
  entries: LogEntry[];
  /** The index of the next event. */
  next: number;
  /** Whether the log ends with these events. */
  whole: boolean;
}

/** Takes the earliest of the shards' next events repeatedly, until a shard with more events has to be read again. */
function merge(shards: readonly ShardPage[], limit: number): FleetEvent[] {
  const events: FleetEvent[] = [];
  let bytes = 0;
  while (events.length < limit && bytes < PAGE_BYTES) {
    let earliest: { page: ShardPage; event: FleetEvent } | undefined;
    for (const page of shards) {
      const event = page.entries[page.next]?.event;
      if (!event) {
        if (page.whole) continue;
        return events;
      }
      if (!earliest || event.at < earliest.event.at) earliest = { page, event };
    }
    if (!earliest) return events;
    earliest.page.next += 1;
    bytes += jsonBytes(earliest.event);
    events.push(earliest.event);
  }
  return events;
}
