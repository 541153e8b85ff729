import type { HeartbeatTiming } from '../../shared/index.ts';
import { RoundTrips } from './round-trips.ts';

/** A hub is gone when this many pings in a row went unanswered. */
const MOST_MISSES = 3;

/**
 * What is due now. `beat`: send the interval's ping, and stats. `probe`: send a ping, the last one was not
 * answered in time. `lost`: the hub is gone. `none`: all is well.
 */
export type PulseAction = 'beat' | 'probe' | 'lost' | 'none';

/** Of its timeout, what an agent keeps for registering elsewhere. */
const RETURN_PART = 1 / 4;

/** Pings whose pongs may still come; a hub that answers fewer is measured from the newest. */
const MOST_IN_FLIGHT = 8;

/**
 * When to ping, and when to give a hub up. It holds no timer: its owner calls `due` at `nextAtMs`.
 *
 * Each beat is checked half an interval later, whether or not the beat before was answered. An unanswered one is
 * followed by two probes, a quarter interval apart; the third miss means that the hub is gone: one interval
 * after the beat, so at most two after the last answer. The checks count from when they ran, not from when
 * they should have, so that a stall of this process is never taken for three misses at once.
 *
 * On a slow link pongs take longer than that. What they took lately says how long one may take (RFC 6298), and each
 * wait is at least as long, as far as the timeout allows: the hub is given up, at the latest, when what is left of it
 * is just enough to register elsewhere.
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
  /** When the pings were sent whose pongs are to come, oldest first. */
  #inFlight: number[] = [];
  readonly #link = new RoundTrips();
  #giveUpAt = 0;

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
    if (this.#misses >= this.#mostMisses) {
      // A caller that keeps the connection all the same goes on beating.
      this.#rest(nowMs);
      return 'lost';
    }
    this.#sent(nowMs);
    this.#nextAt = nowMs + this.#waitMs(this.#timing.intervalMs / 4, nowMs);
    return 'probe';
  }

  /** A pong came. Returns the milliseconds since its ping. */
  pong(nowMs: number): number {
    this.#answered = true;
    this.#misses = 0;
    const tookMs = nowMs - (this.#inFlight.shift() ?? this.#sentAt);
    this.#link.took(tookMs);
    return tookMs;
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
    this.#sent(nowMs);
    const { intervalMs, timeoutMs } = this.#timing;
    // The beat before may have been an interval ago.
    this.#giveUpAt = nowMs + Math.max(intervalMs, timeoutMs * (1 - RETURN_PART) - intervalMs);
    this.#nextAt = nowMs + this.#waitMs(intervalMs / 2, nowMs);
    return 'beat';
  }

  #sent(nowMs: number): void {
    this.#sentAt = nowMs;
    if (this.#inFlight.length >= MOST_IN_FLIGHT) this.#inFlight = [];
    this.#inFlight.push(nowMs);
  }

  /** So long, or as long as a pong may take; what is left until it must be given up is for all misses to come. */
  #waitMs(shortestMs: number, nowMs: number): number {
    const leftMs = (this.#giveUpAt - nowMs) / (this.#mostMisses - this.#misses);
    return Math.max(shortestMs, Math.min(this.#link.timeoutMs, leftMs));
  }

  #rest(nowMs: number): PulseAction {
    this.#checking = false;
    this.#beatPlannedAt = Math.max(nowMs, this.#beatPlannedAt + this.#timing.intervalMs);
    this.#nextAt = this.#beatPlannedAt;
    return 'none';
  }
}
