/** Before the first new start: a worker that dies once is back before its agents are. */
const FIRST_MS = 250;
const MOST_MS = 30_000;
/** A worker that ran for this time did not die of its start. */
const STABLE_MS = 60_000;

/** How long to wait before a worker is started again: twice as long each time that it dies soon, to a bound. */
export class Restarts {
  #soonInARow = 0;

  /** Milliseconds to wait before the next start. */
  delayAfter(ranForMs: number): number {
    if (ranForMs >= STABLE_MS) this.#soonInARow = 0;
    const delayMs = Math.min(MOST_MS, FIRST_MS * 2 ** this.#soonInARow);
    // Not beyond the bound: the power must not grow for ever.
    if (delayMs < MOST_MS) this.#soonInARow += 1;
    return delayMs;
  }
}
