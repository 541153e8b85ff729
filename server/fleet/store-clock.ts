/** An answer of the store with its time. Milliseconds. */
export interface TimeAnswer {
  /** Hub time of the request, and of the answer. */
  askedAt: number;
  answeredAt: number;
  /** The store's clock between the two. */
  storeNow: number;
}

/** A smaller difference is no step: clocks are read in milliseconds, and a step this small does no harm. */
const TOLERANCE_MS = 250;
/** The largest drift between two clocks, a clock that is being corrected slowly included. */
const DRIFT = 1 / 100;

/**
 * The clock of one shard's store against hub time. A store's clock is its machine's wall clock: it may be set, or a
 * server whose clock differs may take over. Each answer bounds its lead; the narrowest bounds count, so that an answer
 * that waited through a stall changes nothing, and bounds that exclude each other show a step.
 */
export class StoreClock {
  #ahead: Ahead | undefined;

  /**
   * Takes an answer. Returns the least amount by which the store's clock was set since the previous one; 0: it was not
   * set.
   */
  take({ askedAt, answeredAt, storeNow }: TimeAnswer): number {
    const seen = { least: storeNow - answeredAt, most: storeNow - askedAt, at: answeredAt };
    const known = this.#ahead;
    if (!known) {
      this.#ahead = seen;
      return 0;
    }
    const driftMs = DRIFT * Math.max(0, seen.at - known.at);
    const stepMs = apartMs(known, seen);
    if (Math.abs(stepMs) > TOLERANCE_MS + driftMs) {
      this.#ahead = seen;
      return stepMs;
    }
    if (seen.most - seen.least <= known.most - known.least + driftMs) this.#ahead = seen;
    return 0;
  }

  /** The store's time at a moment of hub time, by its present clock; undefined before the first answer. */
  at(hubTime: number): number | undefined {
    return this.#ahead && Math.round(hubTime + (this.#ahead.least + this.#ahead.most) / 2);
  }
}

/** The distance from one interval to the other; 0 if they overlap. */
function apartMs(from: Ahead, to: Ahead): number {
  if (to.least > from.most) return to.least - from.most;
  return to.most < from.least ? to.most - from.least : 0;
}

/** The lead of the store's clock over hub time: between `least` and `most`, as measured at `at`. */
interface Ahead {
  least: number;
  most: number;
  at: number;
}
