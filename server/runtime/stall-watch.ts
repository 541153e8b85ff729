/** A process that comes to its timers later than this stood still. */
export const STALL_MS = 1_000;

/**
 * Whether this process stood still lately: it was stopped, its machine was, or one piece of work took too long. What
 * it finds afterwards (closes, frames, deadlines) tells of the past. Sockets may be served before the timers are, so
 * it is asked by whatever runs first.
 */
export class StallWatch {
  readonly #everyMs: number;
  /** It begins with the first turn: a hub that loads the fleet has no timers yet. */
  #turnedAt = Number.POSITIVE_INFINITY;
  #wokeAt = Number.NEGATIVE_INFINITY;
  #lastMs = 0;
  #count = 0;

  /** `turned` is going to be called every `everyMs`. */
  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  /** The timers are served. */
  turned(now: number): void {
    this.#look(now);
    this.#turnedAt = now;
  }

  /** How often it stood still so far. */
  count(now: number): number {
    this.#look(now);
    return this.#count;
  }

  /** How long it stood still the last time. */
  lastMs(now: number): number {
    this.#look(now);
    return this.#lastMs;
  }

  /** Milliseconds left of `graceMs` after the last time; 0 or less where that is over. */
  graceLeftMs(graceMs: number, now: number): number {
    this.#look(now);
    return this.#wokeAt + graceMs - now;
  }

  /** Since the last time, milliseconds. */
  awakeMs(now: number): number {
    this.#look(now);
    return now - this.#wokeAt;
  }

  #look(now: number): void {
    const lateMs = now - this.#turnedAt - this.#everyMs;
    if (lateMs <= STALL_MS) return;
    this.#turnedAt = now;
    this.#wokeAt = now;
    this.#lastMs = lateMs;
    this.#count += 1;
  }
}
