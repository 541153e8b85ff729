import type { Clock } from './clock.ts';

/** How long the hub works on one thing before it looks after its sockets again. */
const SLICE_MS = 10;

/**
 * Long work in slices. Whoever goes through many nodes asks now and then whether the slice is over, and then waits
 * for the next one: pongs and heartbeats are served between. All who work share one slice a turn and wait in line,
 * so that sixteen of them do not take sixteen slices at once.
 */
export class Slices {
  readonly #clock: Clock;
  readonly #line: Array<() => void> = [];
  #began = Number.NEGATIVE_INFINITY;
  #turnWaits = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether to wait for `next` before going on. Reads the clock: to be asked every few dozen nodes. */
  over(): boolean {
    if (!this.#turnWaits) this.#callTurn();
    return this.#clock.now() - this.#began >= SLICE_MS;
  }

  /** Waits in line for a slice. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#line.push(resolve);
      if (!this.#turnWaits) this.#callTurn();
    });
  }

  /** The first work of a turn begins its slice; the turn that follows begins another, for who is first in line. */
  #callTurn(): void {
    this.#turnWaits = true;
    this.#began = this.#clock.now();
    this.#clock.after(0, () => {
      this.#turnWaits = false;
      const first = this.#line.shift();
      if (!first) return;
      this.#callTurn();
      first();
    });
  }
}
