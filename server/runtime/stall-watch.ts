/** A delay of the timers beyond this is a stall of the process. */
export const STALL_MS = 1_000;

/**
 * Whether this process stalled lately: it was stopped, its machine was, or one piece of work took too long. Whatever it
 * processes afterwards (closes, frames, deadlines) belongs to the past. Sockets may be served before timers, so every
 * handler that depends on it checks for itself.
 */
export class StallWatch {
  readonly #everyMs: number;
  /** Counting begins with the first timer: a hub that loads the fleet has no timers yet. */
  #turnedAt = Number.POSITIVE_INFINITY;
  #wokeAt = Number.NEGATIVE_INFINITY;
  #lastMs = 0;
  #count = 0;

  /** `turned` must be called every `everyMs`. */
  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  /** The timers run. */
  turned(now: number): void {
    this.#check(now);
    this.#turnedAt = now;
  }

  /** The number of stalls so far. */
  count(now: number): number {
    this.#check(now);
    return this.#count;
  }

  /** The length of the last stall. */
  lastMs(now: number): number {
    this.#check(now);
    return this.#lastMs;
  }

  /** Milliseconds left of `graceMs` after the last stall; 0 or less if it is over. */
  graceLeftMs(graceMs: number, now: number): number {
    this.#check(now);
    return this.#wokeAt + graceMs - now;
  }

  /** Milliseconds since the last stall. */
  awakeMs(now: number): number {
    this.#check(now);
    return now - this.#wokeAt;
  }

  #check(now: number): void {
    const lateMs = now - this.#turnedAt - this.#everyMs;
    if (lateMs <= STALL_MS) return;
    this.#turnedAt = now;
    this.#wokeAt = now;
    this.#lastMs = lateMs;
    this.#count += 1;
  }
}
