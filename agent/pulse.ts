import type { HeartbeatTiming } from '../shared/index.ts';

/** A hub is gone when this many pings in a row went unanswered (seeds 000 and 004: three failures). */
export const MOST_MISSES = 3;

/**
 * What is due now. `beat`: send the interval's ping, and stats. `probe`: send a ping, the last one was not
 * answered in time. `lost`: the hub is gone. `none`: all is well.
 */
export type PulseAction = 'beat' | 'probe' | 'lost' | 'none';

/**
 * When to ping, and when to give a hub up. It holds no timer: its owner calls `due` at `nextAtMs`.
 *
 * Each beat is checked half an interval later, whether or not the beat before was answered. An unanswered one is
 * followed by two probes, a quarter interval apart; the third miss means that the hub is gone: one interval
 * after the beat, so at most two after the last answer. The checks count from when they ran, not from when
 * they should have, so that a stall of this process is never taken for three misses at once.
 */
export class Pulse {
  #timing: HeartbeatTiming;
  readonly #mostMisses: number;
  #nextAt: number;
  #beatPlannedAt: number;
  #sentAt = 0;
  #checking = false;
  #answered = false;
  #misses = 0;

  /** The first beat comes at a random moment of the first interval, so that a fleet does not beat as one. */
  constructor(timing: HeartbeatTiming, nowMs: number, random: () => number, mostMisses = MOST_MISSES) {
    this.#timing = timing;
    this.#mostMisses = mostMisses;
    this.#nextAt = nowMs + timing.intervalMs * random();
    this.#beatPlannedAt = this.#nextAt;
  }

  get nextAtMs(): number {
    return this.#nextAt;
  }

  /** Unanswered pings in a row. */
  get misses(): number {
    return this.#misses;
  }

  /** To be called at `nextAtMs` or later; says what to do, and moves `nextAtMs` on. */
  due(nowMs: number): PulseAction {
    if (!this.#checking) return this.#beat(nowMs);
    if (this.#answered) return this.#rest(nowMs);
    this.#misses += 1;
    if (this.#misses >= this.#mostMisses) return 'lost';
    this.#sentAt = nowMs;
    this.#nextAt = nowMs + this.#timing.intervalMs / 4;
    return 'probe';
  }

  /** A pong came. Returns the milliseconds since the last ping. */
  pong(nowMs: number): number {
    this.#answered = true;
    this.#misses = 0;
    return nowMs - this.#sentAt;
  }

  /** The hub may be gone unnoticed: the next beat comes now. One that waits for its answer already is enough. */
  hurry(nowMs: number): void {
    if (this.#checking) return;
    this.#nextAt = nowMs;
    this.#beatPlannedAt = nowMs;
  }

  /**
   * The timing changed. A shorter interval counts from now on, at a random moment of it: a hub tells a whole
   * fleet at once.
   */
  retime(timing: HeartbeatTiming, nowMs: number, random: () => number): void {
    this.#timing = timing;
    if (this.#checking) {
      this.#nextAt = Math.min(this.#nextAt, nowMs + timing.intervalMs / 2);
      return;
    }
    this.#nextAt = Math.min(this.#nextAt, nowMs + timing.intervalMs * random());
    this.#beatPlannedAt = this.#nextAt;
  }

  #beat(nowMs: number): PulseAction {
    this.#checking = true;
    this.#answered = false;
    this.#sentAt = nowMs;
    this.#nextAt = nowMs + this.#timing.intervalMs / 2;
    return 'beat';
  }

  #rest(nowMs: number): PulseAction {
    this.#checking = false;
    this.#beatPlannedAt = Math.max(nowMs, this.#beatPlannedAt + this.#timing.intervalMs);
    this.#nextAt = this.#beatPlannedAt;
    return 'none';
  }
}
