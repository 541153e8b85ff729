import { TokenBucket } from '../runtime/token-bucket.ts';

export interface AdmissionLimits {
  /** Upgrades a second; the burst is four seconds' worth. */
  perSecond: number;
  /** Agents between their upgrade and the end of their registration. */
  handshakes: number;
  /** With its timers late by this much the hub admits no agents, with half of it no newcomers. */
  lateMs: number;
}

/** Why an agent is refused for the moment. */
export type Overload = 'rate' | 'handshakes' | 'late';
export const OVERLOADS: Readonly<Record<Overload, string>> = {
  rate: 'too many agents come at once',
  handshakes: 'too many agents are registering',
  late: 'the hub is behind with its work',
};
/** Why an upgrade was refused. `away`: the hub cannot reach its store. */
export type Refusal = Overload | 'away' | 'stopping' | 'unauthenticated' | 'forbidden';

/** A hub is not called late for less, however short the timeout: its start takes that long. */
const SHORTEST_LATE_MS = 2_000;

/** How late a hub may be with this timeout before waiting heartbeats begin to cost nodes their status. */
export function lateMsOf(timeoutMs: number): number {
  return Math.max(SHORTEST_LATE_MS, timeoutMs / 6);
}

/** Seconds' worth of upgrades that may come at once: the fleet of a restarted hub comes without warning. */
const BURST_SECONDS = 4;
/** The interval at which the hub proves that its timers run. */
export const TURN_MS = 100;
/** The shortest wait, and the shortest spread: even a few refused agents do not come back at once. */
const SHORTEST_WAIT_MS = 1_000;
const SHORTEST_SPREAD_MS = 2_000;
/** The queue counts as this long at the most, so that no agent waits for more than about a minute. */
const LONGEST_ROW_MS = 40_000;

/**
 * Whether one more agent may begin a handshake now. The check comes after the token's and is cheap, so that a storm
 * beyond the hub's capacity is refused rather than served late. Agents that were registered before may use the whole
 * capacity, newcomers only the upper half: newcomers never take the place of a node that is online now.
 */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #tokens: TokenBucket;
  readonly #burst: number;
  /** The last time at which the timers ran. */
  #turnedAt: number;
  #handshakes = 0;
  /** When all refused agents would be admitted, one after the other at the full rate. */
  #servedAt = 0;
  /** Handshakes begun, and upgrades refused, so far. */
  readonly admitted = { known: 0, new: 0 };
  readonly refused: Record<Refusal, number> = {
    ...{ rate: 0, handshakes: 0, late: 0 },
    ...{ away: 0, stopping: 0, unauthenticated: 0, forbidden: 0 },
  };

  constructor(limits: AdmissionLimits, now: number) {
    this.#limits = limits;
    this.#burst = BURST_SECONDS * limits.perSecond;
    this.#tokens = new TokenBucket(limits.perSecond, this.#burst, now);
    this.#turnedAt = now;
  }

  /** Agents that were admitted and are not registered yet. */
  get handshakes(): number {
    return this.#handshakes;
  }

  /** The timers ran. To be called every `TURN_MS`. */
  turned(now: number): void {
    this.#turnedAt = now;
  }

  /** Why this agent must wait, or undefined. */
  overload(known: boolean, now: number): Overload | undefined {
    const { handshakes, lateMs } = this.#limits;
    if (now - this.#turnedAt - TURN_MS > (known ? lateMs : lateMs / 2)) return 'late';
    if (this.#handshakes >= (known ? handshakes : handshakes / 2)) return 'handshakes';
    return this.#tokens.take(now, known ? 0 : this.#burst / 2) ? undefined : 'rate';
  }

  /** A handshake begins. */
  began(known: boolean): void {
    this.admitted[known ? 'known' : 'new'] += 1;
    this.#handshakes += 1;
  }

  /** A handshake ended: registered, or closed before. */
  ended(): void {
    this.#handshakes -= 1;
  }

  /**
   * How long a refused agent waits: about until all agents refused before it could have been admitted, plus or minus a
   * large random part. So a herd comes back at about the rate at which it can be admitted.
   */
  retryAfterMs(now: number, random: () => number = Math.random): number {
    const rowMs = Math.max(0, this.#servedAt - now);
    this.#servedAt = now + Math.min(rowMs + 1_000 / this.#limits.perSecond, LONGEST_ROW_MS);
    return Math.round(SHORTEST_WAIT_MS + rowMs / 2 + random() * Math.max(SHORTEST_SPREAD_MS, rowMs));
  }
}
