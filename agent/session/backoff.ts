/** Milliseconds. */
export const BACKOFF = {
  /** The first retry waits up to this long, each further one up to twice the one before. */
  baseMs: 1_000,
  /** No ordinary retry waits longer. */
  capMs: 60_000,
  /** A session that lasted this long was a success: the next retry starts from the base again. */
  stableMs: 60_000,
  /** After a hub said that it restarts, everyone on it returns spread over this long. */
  spreadMs: 5_000,
  /** No hub can send an agent away for longer than this. */
  longestWaitMs: 600_000,
} as const;

/**
 * No delay is longer than this share of the node's timeout, and no attempt either, however long all hubs are away:
 * hubs call nobody silent for a full timeout after they are back, so an agent that they had shown online must come within
 * it. One hub of which an attempt hangs: a sixth for the attempt and a sixth for the delay, a third of the timeout,
 * and two thirds for being sent away by a hub that has a whole fleet to take.
 *
 *     timeout    longest delay and attempt    back after an outage, one address
 *        3 s        0.5 s and 1 s                at most  1.5 s of  3 s
 *       30 s          5 s and 5 s                at most 10   s of 30 s
 *      180 s         30 s and 10 s               at most 40   s of 180 s
 */
const SHARE_OF_TIMEOUT = 6;

/** With more hubs than this in its list, an agent goes round faster: a round of all of them stays within a timeout. */
const HUBS_A_ROUND = 3;

/**
 * An agent that was not registered since its start may be shown as online from before it, and does not know its
 * timeout yet: it takes the hubs' default (30 s).
 */
export const LIKELY_TIMEOUT_MS = 30_000;

/** The most that an agent waits of its own accord, or for an attempt, with this timeout and this number of hubs to try. */
export function retryCeilingMs(timeoutMs: number = LIKELY_TIMEOUT_MS, hubs = 1): number {
  return (timeoutMs / SHARE_OF_TIMEOUT) * Math.min(1, HUBS_A_ROUND / hubs);
}

/** Exponential backoff with full jitter: a delay is anywhere from 0 to the step, the first one too. */
export class Backoff {
  readonly #random: () => number;
  #failures = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Retries since the last reset. */
  get failures(): number {
    return this.#failures;
  }

  reset(): void {
    this.#failures = 0;
  }

  /** The delay before the next retry, at most `ceilingMs`. */
  next(ceilingMs: number): number {
    const step = Math.min(BACKOFF.capMs, BACKOFF.baseMs * 2 ** Math.min(this.#failures, 16));
    this.#failures += 1;
    return this.#random() * Math.min(step, ceilingMs);
  }

  /** A delay within the spread, for those who were all told to return at the same moment. */
  spread(ceilingMs: number): number {
    return this.#random() * Math.min(BACKOFF.spreadMs, ceilingMs);
  }

  /**
   * What the hub asked for and up to half as much again, so that those it sent away do not return as one; less
   * where the ceiling is lower, because a hub that is busy must not cost the node its status.
   */
  wait(retryAfterMs: number, ceilingMs: number): number {
    const longest = Math.min(BACKOFF.longestWaitMs, ceilingMs / 1.5);
    return Math.min(retryAfterMs, longest) * (1 + this.#random() / 2);
  }

  /** For what would fail the same way again: the upper half of the cap. Later retries stay at the cap too. */
  longest(): number {
    this.#failures = 16;
    return BACKOFF.capMs * (0.5 + this.#random() / 2);
  }
}

/**
 * A `Retry-After` header (RFC 9110, 10.2.3: seconds, or an HTTP date) in milliseconds from now. A date counts from the
 * answer's own `Date`: this machine's clock may be wrong, and without one a date says nothing.
 */
export function readRetryAfterHeader(
  value: string | undefined,
  answeredAt: string | undefined,
): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000;
  const waitMs = Date.parse(value) - Date.parse(answeredAt ?? '');
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs);
}
