import type { Clock } from './clock.ts';

/** How long the hub works on one thing before it looks after its sockets again. */
const SLICE_MS = 10;
/** Readers wait for the fleet's own work, but of so many turns one is theirs. */
const READERS_EVERY_TURNS = 4;
/** Work that waited begins so many promises later, at the most. */
const PROMISES_UNTIL_WORK = 10;

/**
 * Long work in slices. Whoever goes through many nodes asks now and then whether the slice is over, and then waits
 * for the next one: pongs and heartbeats are served between. All who work share one slice a turn and wait in line,
 * so that sixteen of them do not take sixteen slices at once. There are two lines: the fleet's own work goes before
 * what is made for readers.
 */
export class Slices {
  readonly #clock: Clock;
  readonly #line: Array<() => void> = [];
  readonly #readers: Array<() => void> = [];
  #began = Number.NEGATIVE_INFINITY;
  #turnWaits = false;
  #turnsOfFleet = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Readers' work that waits for its turn. */
  get readersWaiting(): number {
    return this.#readers.length;
  }

  /** Whether to wait for `next` before going on. Reads the clock: to be asked every few dozen nodes. */
  over(): boolean {
    if (!this.#turnWaits) this.#callTurn();
    return this.#clock.now() - this.#began >= SLICE_MS;
  }

  /** Waits in line for a slice. */
  next(): Promise<void> {
    return this.#wait(this.#line);
  }

  /** Waits for a slice in which something is made for a reader; at once where nobody else waits. */
  async forReader(): Promise<void> {
    const nobodyWaits = this.#line.length === 0 && this.#readers.length === 0;
    if (!nobodyWaits || this.over()) await this.#wait(this.#readers);
  }

  #wait(line: Array<() => void>): Promise<void> {
    return new Promise((resolve) => {
      line.push(resolve);
      if (!this.#turnWaits) this.#callTurn();
    });
  }

  /** The first work of a turn begins its slice; the turn that follows begins another, for who is first in line. */
  #callTurn(): void {
    this.#turnWaits = true;
    this.#began = this.#clock.now();
    this.#clock.after(0, () => {
      this.#turnWaits = false;
      if (this.#line.length + this.#readers.length === 0) return;
      this.#callTurn();
      this.#turnsOfFleet += 1;
      const readersFirst = this.#turnsOfFleet >= READERS_EVERY_TURNS && this.#readers.length > 0;
      const ofFleet = readersFirst ? undefined : this.#line.shift();
      if (ofFleet) ofFleet();
      else void this.#serveReaders();
    });
  }

  /** What is made for a reader is often small: as many as fit into the slice. */
  async #serveReaders(): Promise<void> {
    this.#turnsOfFleet = 0;
    do {
      this.#readers.shift()?.();
      for (let promise = 0; promise < PROMISES_UNTIL_WORK; promise += 1) await undefined;
    } while (this.#readers.length > 0 && this.#clock.now() - this.#began < SLICE_MS);
  }
}
