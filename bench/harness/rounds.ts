/** When a row has to be done, and what it left undone because of that. */
export class TimeLimit {
  readonly #endsAt: number;
  readonly #now: () => number;
  readonly #notes = new Set<string>();

  /** `seconds` from now on; without any, nothing is ever cut short. */
  constructor(seconds = Number.POSITIVE_INFINITY, now: () => number = () => performance.now()) {
    this.#now = now;
    this.#endsAt = now() + seconds * 1_000;
  }

  /**
   * The numbers 0 to `most` - 1, of which the first always comes: it ends early where another round as long as the
   * longest so far would end too late.
   */
  *rounds(most: number): Generator<number, void, void> {
    let longestMs = 0;
    for (let round = 0; round < most; round += 1) {
      const startedAt = this.#now();
      yield round;
      longestMs = Math.max(longestMs, this.#now() - startedAt);
      if (round + 1 < most && this.#now() + longestMs > this.#endsAt) {
        this.#notes.add(`The time was up after ${round + 1} of ${most} rounds.`);
        return;
      }
    }
  }

  /** What was cut short, in words. */
  get notes(): string[] {
    return [...this.#notes];
  }
}

/**
 * The seconds that a row gets where all rows together have an end: its share, by its estimate, of the time that is
 * left. Nothing where that is less than half of what it needs: half a measurement is none.
 */
export function shareOf(
  estimate: number,
  estimateOfAllLeft: number,
  secondsLeft: number,
): number | undefined {
  const share = (secondsLeft * estimate) / estimateOfAllLeft;
  return share < estimate / 2 ? undefined : share;
}
