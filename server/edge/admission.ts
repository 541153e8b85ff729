import { TokenBucket } from '../runtime/token-bucket.ts';

export interface AdmissionLimits {
  /** Upgrades a second; the burst is four seconds' worth. */
  perSecond: number;
  /** Agents between their upgrade and the end of their registration. */
  handshakes: number;
  /** The hub coming so late to its timers admits nobody, half as late no newcomers. */
  lateMs: number;
}

/** What keeps an agent out that would be let in later. */
export type Overload = 'rate' | 'handshakes' | 'late';
export const OVERLOADS: Readonly<Record<Overload, string>> = {
  rate: 'too many agents come at once',
  handshakes: 'too many agents are registering',
  late: 'the hub is behind with its work',
};
/** Why an upgrade was refused. `away`: the hub cannot reach its store. */
export type Refusal = Overload | 'away' | 'stopping' | 'unauthenticated' | 'forbidden';

/** A hub is not called late for less, however short the timeout: starting one takes that long. */
const SHORTEST_LATE_MS = 2_000;

/** How late a hub may be with this timeout before heartbeats that wait begin to cost nodes their status. */
export function lateMsOf(timeoutMs: number): number {
  return Math.max(SHORTEST_LATE_MS, timeoutMs / 6);
}

/** Seconds' worth of upgrades that may come at once: a fleet whose hub was restarted comes without warning. */
const BURST_SECONDS = 4;
/** How often the hub shows that it comes to its timers. */
export const TURN_MS = 100;
/** Nobody is told to wait for less, and even a few who were sent away together come back spread over this long. */
const SHORTEST_WAIT_MS = 1_000;
const SHORTEST_SPREAD_MS = 2_000;
/** A row longer than this is told as this long: so nobody waits for more than about a minute. */
const LONGEST_ROW_MS = 40_000;

/**
 * Whether one more agent may begin a handshake now. It is asked of those who showed their token, and costs next to
 * nothing, so that a storm that is too large for the hub is sent away rather than served late. Agents that were
 * registered before may use all there is, newcomers only the upper half: they never take the place of a node that
 * is online now.
 */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #tokens: TokenBucket;
  readonly #burst: number;
  /** When the hub came to its timers last. */
  #turnedAt: number;
  #handshakes = 0;
  /** When those who were sent away would all be admitted, if they came one after the other at the full rate. */
  #servedAt = 0;
  /** Handshakes that began, and upgrades that were refused, so far. */
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

  /** The hub came to its timers. To be called every `TURN_MS`. */
  turned(now: number): void {
    this.#turnedAt = now;
  }

  /** Why this agent is one too many now, or undefined. */
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

  /** It ended: registered, or closed before. */
  ended(): void {
    this.#handshakes -= 1;
  }

  /**
   * How long somebody who is sent away waits: until about when those who were sent away before him could all have
   * been let in, a good deal earlier or later by chance. So a herd comes back at about the rate at which it is taken.
   */
  retryAfterMs(now: number, random: () => number = Math.random): number {
    const rowMs = Math.max(0, this.#servedAt - now);
    this.#servedAt = now + Math.min(rowMs + 1_000 / this.#limits.perSecond, LONGEST_ROW_MS);
    return Math.round(SHORTEST_WAIT_MS + rowMs / 2 + random() * Math.max(SHORTEST_SPREAD_MS, rowMs));
  }
}
