/** Stops a timer. Calling it again does nothing. */
export type Cancel = () => void;

/**
 * Time as the hub sees it. It is the only source of time on the server side, so that every timing rule can
 * be run under a fake clock.
 */
export interface Clock {
  /** Milliseconds since the epoch. It may jump forwards (a machine that slept), never backwards. */
  now(): number;
  after(delayMs: number, run: () => void): Cancel;
  every(intervalMs: number, run: () => void): Cancel;
}

/** A wall clock that went further ahead than this (the machine slept, or NTP stepped) is followed. */
const JUMP_MS = 1_000;

class SystemClock implements Clock {
  #startedAt = Date.now() - performance.now();

  now(): number {
    const steady = this.#startedAt + performance.now();
    const ahead = Date.now() - steady;
    if (ahead < JUMP_MS) return Math.floor(steady);
    this.#startedAt += ahead;
    return Math.floor(steady + ahead);
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
