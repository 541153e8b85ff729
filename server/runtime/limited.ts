const EVERY_MS = 60_000;

/** Lets a log line through once a minute: an event that any client can cause must not fill the log. */
export class Limited {
  #nextAt = Number.NEGATIVE_INFINITY;
  #times = 0;

  /**
   * Counts an event. Returns the number of events since the last line, this one included, if a line is due now, else 0.
   */
  due(now: number): number {
    this.#times += 1;
    if (now < this.#nextAt) return 0;
    this.#nextAt = now + EVERY_MS;
    const times = this.#times;
    this.#times = 0;
    return times;
  }
}
