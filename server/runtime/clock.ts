/** Stops a timer. Calling it again does nothing. */
export type Cancel = () => void;

/**
 * Time as the hub sees it: the only source of time on the server side, so that every timing rule can run under a fake
 * clock.
 */
export interface Clock {
  /**
   * Monotonic milliseconds for every interval and deadline: the machine's wall clock does not affect them. The count
   * begins with the wall clock at the start of the process. It is no date: dates are `wall()` or the store's.
   */
  now(): number;
  /** The machine's wall clock, milliseconds since the epoch. It may be set at any time: for dates only. */
  wall(): number;
  after(delayMs: number, run: () => void): Cancel;
  every(intervalMs: number, run: () => void): Cancel;
  sleep(ms: number): Promise<void>;
}

/** The difference between the two clocks from which `wall()` follows. */
const WALL_STEP_MS = 20;

class SystemClock implements Clock {
  readonly #startedAt = Date.now() - performance.now();
  /** How far the wall clock is ahead of `now()`; followed in steps, so that equal moments have equal dates. */
  #aheadMs = 0;

  now(): number {
    return Math.floor(this.#startedAt + performance.now());
  }

  wall(): number {
    const now = this.now();
    const aheadMs = Date.now() - now;
    if (Math.abs(aheadMs - this.#aheadMs) > WALL_STEP_MS) this.#aheadMs = aheadMs;
    return now + this.#aheadMs;
  }

  after(delayMs: number, run: () => void): Cancel {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  }

  every(intervalMs: number, run: () => void): Cancel {
    const timer = setInterval(run, intervalMs);
    return () => clearInterval(timer);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve));
  }
}

/** The machine's own clock. */
export const systemClock: Clock = new SystemClock();

let newest = { ms: Number.NaN, text: '' };

/**
 * ISO 8601 with milliseconds, UTC, of milliseconds since the epoch. The latest text is cached: many callers ask within
 * one millisecond.
 */
export function instant(ms: number): string {
  if (newest.ms !== ms) newest = { ms, text: new Date(ms).toISOString() };
  return newest.text;
}

/** Milliseconds since the epoch of an instant. */
export function msOf(at: string): number {
  return new Date(at).getTime();
}
