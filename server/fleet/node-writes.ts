import type { Stamp } from '../rules/change.ts';
import type { Clock } from '../runtime/clock.ts';
import { type Change, type FleetStore, LostDataError, type Stored, versionOf } from '../store/fleet-store.ts';

/**
 * Another hub may come between a read and a commit for so long before we give up. It has no more than its own row of
 * writes, so that waiting helps; nobody is kept for longer.
 */
const WITHIN_MS = 4_000;
/** From this attempt on it waits before it reads again, up to twice as long each time: two hubs must not keep step. */
const PATIENT_FROM = 2;
const LONGEST_PAUSE_MS = 32;
/** Writes of one node that may wait for each other: more come of a fault, not of a machine. */
const WAITING_PER_NODE = 64;
/** Writes that may wait for an earlier one of their node, of all nodes together. */
const MOST_WAITING = 20_000;

export type Settled =
  | { kind: 'done'; change: Change }
  /** There was nothing to change. */
  | { kind: 'nothing'; stored: Stored }
  /** The heartbeat that was thought gone is there. */
  | { kind: 'still-beating' }
  /** Others wrote this node in between, every time, or too many writes of it wait already. */
  | { kind: 'contended' };

export type Decide = (stored: Stored, stamp: Stamp) => Change | undefined;

interface Waiting {
  decide: Decide;
  /** When it was asked for, hub time. */
  since: number;
  /** The newest that is known of the node without asking the store, when its turn comes. */
  known: (() => Stored | undefined) | undefined;
  resolve: (settled: Settled) => void;
  reject: (error: unknown) => void;
}

/**
 * The writes of this hub, each decided on what is stored. Those of one node take turns, so that they never come between
 * each other: only another hub can.
 */
export class NodeWrites {
  readonly #store: FleetStore;
  readonly #clock: Clock;
  /** The time of the store where a node lies: milliseconds since the epoch. */
  readonly #now: (id: string) => number;
  /** By node, what waits for the write that is under way. */
  readonly #waiting = new Map<string, Waiting[]>();
  #waitingInAll = 0;

  constructor(parts: { store: FleetStore; clock: Clock; now: (id: string) => number }) {
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#now = parts.now;
  }

  /**
   * Decides on what is stored and commits, and where another hub came between, reads and decides again. `known` spares
   * the first read where it tells the newest record. Throws `StoreAwayError` and `LostDataError`; those that wait
   * behind it fail with it.
   */
  settle(id: string, decide: Decide, known?: Waiting['known']): Promise<Settled> {
    return new Promise((resolve, reject) => {
      const write = { decide, known, since: this.#clock.now(), resolve, reject };
      const others = this.#waiting.get(id);
      if (!others) {
        this.#waiting.set(id, []);
        void this.#run(id, write);
      } else if (others.length < WAITING_PER_NODE && this.#waitingInAll < MOST_WAITING) {
        this.#waitingInAll += 1;
        others.push(write);
      } else resolve({ kind: 'contended' });
    });
  }

  async #run(id: string, first: Waiting): Promise<void> {
    let last: Stored | undefined;
    for (let write: Waiting | undefined = first; write; write = this.#next(id)) {
      try {
        const settled = await this.#settle(id, write, newer(write.known?.(), last));
        if (settled.kind === 'done') last = storedBy(settled.change);
        write.resolve(settled);
      } catch (error) {
        write.reject(error);
        for (let other = this.#next(id); other; other = this.#next(id)) other.reject(error);
        return;
      }
    }
  }

  #next(id: string): Waiting | undefined {
    const next = this.#waiting.get(id)?.shift();
    if (next) this.#waitingInAll -= 1;
    else this.#waiting.delete(id);
    return next;
  }

  async #settle(id: string, { decide, since }: Waiting, known: Stored | undefined): Promise<Settled> {
    const store = this.#store;
    let stored = known ?? (await store.read(id));
    for (let attempt = 0; attempt === 0 || this.#clock.now() - since < WITHIN_MS; attempt += 1) {
      const change = decide(stored, { now: this.#now(id), changeId: store.newChangeId() });
      if (!change) return { kind: 'nothing', stored };
      const outcome = await store.commit(change);
      switch (outcome) {
        case 'done':
          return { kind: 'done', change };
        case 'still-beating':
          return { kind: 'still-beating' };
        case 'epoch':
          throw new LostDataError(`the shard of ${id} lost its data`);
        case 'conflict':
          if (attempt >= PATIENT_FROM) await this.#pause(attempt - PATIENT_FROM);
          stored = await store.read(id);
          break;
        default:
          return outcome satisfies never;
      }
    }
    return { kind: 'contended' };
  }

  #pause(doublings: number): Promise<void> {
    const ms = Math.ceil(Math.random() * Math.min(LONGEST_PAUSE_MS, 2 ** (doublings + 1)));
    return new Promise((resolve) => void this.#clock.after(ms, resolve));
  }
}

/** What a change leaves in the store. */
function storedBy({ id, record, event, removed }: Change): Stored {
  if (removed) return { kind: 'gone', tombstone: { id, version: event.seq } };
  return { kind: 'node', record, restored: false };
}

function newer(known: Stored | undefined, last: Stored | undefined): Stored | undefined {
  return last && (!known || versionOf(last) > versionOf(known)) ? last : known;
}
