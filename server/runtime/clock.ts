/** Stops a timer. Calling it again does nothing. */
export type Cancel = () => void;

/**
 * Time as the hub sees it. It is the only source of time on the server side, so that every timing rule can
 * be run under a fake clock.
 */
export interface Clock {
  /**
   * Milliseconds that only go forward, whatever becomes of the machine's wall clock: for every interval and deadline.
   * It begins as the wall clock stood when the process started, and is no date: those are `wall()`, or the store's.
   */
  now(): number;
  /** The machine's wall clock, milliseconds since the epoch. Anybody may set it: for dates only. */
  wall(): number;
  after(delayMs: number, run: () => void): Cancel;
  every(intervalMs: number, run: () => void): Cancel;
}

/** By so much the two clocks may differ before `wall()` follows. */
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
}

/** The machine's own clock. */
export const systemClock: Clock = new SystemClock();

let newest = { ms: Number.NaN, text: '' };

/** ISO 8601 with milliseconds, UTC, of milliseconds since the epoch. The newest is kept: many ask within one. */
export function instant(ms: number): string {
  if (newest.ms !== ms) newest = { ms, text: new Date(ms).toISOString() };
  return newest.text;
}

/** Milliseconds since the epoch of an instant. */
export function msOf(at: string): number {
  return new Date(at).getTime();
}
