/** One answer of the store that brought its time. Milliseconds. */
export interface TimeAnswer {
  /** Hub time when it was asked, and when its answer was read. */
  askedAt: number;
  answeredAt: number;
  /** What its clock said between the two. */
  storeNow: number;
}

/** How far the store's clock is ahead of hub time: somewhere from `least` to `most`, as was measured at `at`. */
interface Ahead {
  least: number;
  most: number;
  at: number;
}

/** Less than this is no step: clocks are read in milliseconds, and a step so small does no harm. */
const TOLERANCE_MS = 250;
/** How far two clocks may drift apart, a clock that is being corrected slowly included. */
const DRIFT = 1 / 100;

/**
 * The clock of one shard's store against hub time. A store's clock is its machine's wall clock: it may be set, or a
 * server whose clock differs may take over. Each answer bounds how far it is ahead; the narrowest bounds count, so that
 * an answer that waited through a stall changes nothing, and bounds that exclude each other show a step.
 */
export class StoreClock {
  #ahead: Ahead | undefined;

  /** Takes an answer. Returns by how much at least the store's clock was set since the one before; 0: it was not. */
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

  /** The store's time at a moment of hub time, by its clock as it is now; undefined before the first answer. */
  at(hubTime: number): number | undefined {
    return this.#ahead && Math.round(hubTime + (this.#ahead.least + this.#ahead.most) / 2);
  }
}

/** The way from one interval to the other; 0 where they overlap. */
function apartMs(from: Ahead, to: Ahead): number {
  if (to.least > from.most) return to.least - from.most;
  return to.most < from.least ? to.most - from.least : 0;
}
