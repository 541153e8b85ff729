import type { Stamp } from '../rules/change.ts';
import type { Clock } from '../runtime/clock.ts';
import {
  type Change,
  type FleetStore,
  LostDataError,
  StoreAwayError,
  type Stored,
  versionOf,
} from '../store/fleet-store.ts';
import type { Shards } from './shards.ts';

/**
 * How long conflicts with other hubs are retried. Each hub writes a node one change at a time, so that waiting helps.
 */
const WITHIN_MS = 4_000;
/**
 * From this attempt on there is a pause before the next read, up to twice as long each time: two hubs must not keep
 * step.
 */
const PATIENT_FROM = 2;
const LONGEST_PAUSE_MS = 32;
/** The most writes of one node that wait: more are a sign of a fault, not of a machine. */
const WAITING_PER_NODE = 64;
/** The most writes that wait for an earlier one of their node, of all nodes together. */
const MOST_WAITING = 20_000;

export type Settled =
  | { kind: 'done'; change: Change }
  /** There was nothing to change. */
  | { kind: 'nothing'; stored: Stored }
  /** The heartbeat that seemed to have expired is present. */
  | { kind: 'still-beating' }
  /** Other hubs wrote this node in between, every time, or too many writes of it wait already. */
  | { kind: 'contended' };

/** The store is out of reach. */
export type Away = { kind: 'away' };

export type Decide = (stored: Stored, stamp: Stamp) => Change | undefined;

/**
 * The writes of this hub, each decided on the stored state. Those of one node are made one after the other, so that
 * only another hub can interfere.
 */
export class NodeWrites {
  readonly #store: FleetStore;
  readonly #clock: Clock;
  readonly #shards: Shards;
  /** By node, the writes behind the current one. */
  readonly #waiting = new Map<string, Waiting[]>();
  #waitingInAll = 0;

  constructor(parts: { store: FleetStore; clock: Clock; shards: Shards }) {
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#shards = parts.shards;
  }

  /**
   * Decides on the stored state and commits; after a conflict with another hub, reads and decides again. `known` saves
   * the first read if it has the newest record. Throws `StoreAwayError` and `LostDataError`; the writes behind it fail
   * with it.
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

  /**
   * The same, with an absent store as a result: `away`, at once while the node's shard is known to be out of reach.
   * After a failure the shard is rechecked.
   */
  async trySettle(id: string, decide: Decide, known?: Waiting['known']): Promise<Settled | Away> {
    const shard = this.#shards.of(id);
    if (!shard.usable) return { kind: 'away' };
    try {
      return await this.settle(id, decide, known);
    } catch (error) {
      if (!isAway(error)) throw error;
      shard.recheck();
      return { kind: 'away' };
    }
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
      const change = decide(stored, { now: this.#shards.of(id).storeNow(), changeId: store.newChangeId() });
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
    return this.#clock.sleep(ms);
  }
}

/** Whether the store is out of reach, or has another data set: a follower recovers from both. */
export function isAway(error: unknown): boolean {
  return error instanceof StoreAwayError || error instanceof LostDataError;
}

/** The stored state after a change. */
function storedBy({ id, record, event, removed }: Change): Stored {
  if (removed) return { kind: 'gone', tombstone: { id, version: event.seq } };
  return { kind: 'node', record, restored: false };
}

function newer(known: Stored | undefined, last: Stored | undefined): Stored | undefined {
  return last && (!known || versionOf(last) > versionOf(known)) ? last : known;
}

interface Waiting {
  decide: Decide;
  /** When it was requested, hub time. */
  since: number;
  /** The newest state of the node that is known without a read, when this write begins. */
  known: (() => Stored | undefined) | undefined;
  resolve: (settled: Settled) => void;
  reject: (error: unknown) => void;
}
