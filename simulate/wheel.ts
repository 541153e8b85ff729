import type { AgentClock } from '../agent/session/clock.ts';
import { Latency } from './tally.ts';

/** Something that is woken at a time of its own. `wakeAtMs` is the wheel's to write. */
export interface Sleeper {
  wakeAtMs: number;
  wake(nowMs: number): void;
}

/** How exact a wheel is: nobody is woken early, and by itself at most this late. */
const STEP_MS = 10;

/**
 * One timer for any number of sleepers: each waits in the bucket of its time, and moving one is only putting it into
 * another bucket. The entry that it leaves behind is passed over when its time comes.
 */
export class Wheel {
  readonly #clock: AgentClock;
  readonly #buckets = new Map<number, Sleeper[]>();
  #turned: number;
  #cancel: (() => void) | undefined;
  #lastMs: number;
  /** How much later than it should this process came to its work: what it measures is no better than that. */
  readonly late = new Latency();

  constructor(clock: AgentClock) {
    this.#clock = clock;
    this.#lastMs = clock.nowMs();
    this.#turned = Math.floor(this.#lastMs / STEP_MS);
  }

  start(): void {
    if (this.#cancel) return;
    this.#lastMs = this.#clock.nowMs();
    this.#arm();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#buckets.clear();
  }

  /** Has it woken at that time, instead of whenever it was to be woken before. A time that has passed is the next step. */
  wakeAt(sleeper: Sleeper, atMs: number): void {
    const bucket = Math.max(Math.ceil(atMs / STEP_MS), this.#turned + 1);
    sleeper.wakeAtMs = bucket * STEP_MS;
    const there = this.#buckets.get(bucket);
    if (there) there.push(sleeper);
    else this.#buckets.set(bucket, [sleeper]);
  }

  /** It sleeps until it is given another time. */
  forget(sleeper: Sleeper): void {
    sleeper.wakeAtMs = Number.POSITIVE_INFINITY;
  }

  #arm(): void {
    this.#cancel = this.#clock.after(STEP_MS, () => this.#tick());
  }

  #tick(): void {
    this.#arm();
    const now = this.#clock.nowMs();
    this.late.record(now - this.#lastMs - STEP_MS);
    this.#lastMs = now;
    const until = Math.floor(now / STEP_MS);
    while (this.#turned < until) {
      this.#turned += 1;
      const due = this.#buckets.get(this.#turned);
      if (!due) continue;
      this.#buckets.delete(this.#turned);
      const at = this.#turned * STEP_MS;
      for (const sleeper of due) {
        if (sleeper.wakeAtMs !== at) continue;
        sleeper.wakeAtMs = Number.POSITIVE_INFINITY;
        sleeper.wake(now);
      }
    }
  }
}
