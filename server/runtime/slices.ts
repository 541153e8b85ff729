import type { Clock } from './clock.ts';

/** The longest time the hub works before it serves its sockets again. */
const SLICE_MS = 10;
/** Readers' work waits for the fleet's own, but one slice in this many is for readers. */
const READERS_EVERY_SLICES = 4;
/** The upper bound of promises between the start of waiting work and its first step. */
const PROMISES_UNTIL_WORK = 10;

/**
 * Long work in slices. Work over many nodes asks regularly whether its slice is over, and then waits for the next one,
 * so that pongs and heartbeats are served in between. All work shares one slice per round of the event loop, in a
 * queue: sixteen jobs do not take sixteen slices at once. There are two queues: the fleet's own work goes before
 * readers' work.
 */
export class Slices {
  readonly #clock: Clock;
  readonly #line: Array<() => void> = [];
  readonly #readers: Array<() => void> = [];
  #began = Number.NEGATIVE_INFINITY;
  #roundWaits = false;
  #fleetSlices = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Readers' jobs that wait for a slice. */
  get readersWaiting(): number {
    return this.#readers.length;
  }

  /** Whether to wait for `next` before going on. Reads the clock: to be asked every few dozen nodes. */
  over(): boolean {
    if (!this.#roundWaits) this.#nextRound();
    return this.#clock.now() - this.#began >= SLICE_MS;
  }

  /** Waits in the queue for a slice. */
  next(): Promise<void> {
    return this.#wait(this.#line);
  }

  /** Waits for a slice for a reader's work; returns at once if no other work waits. */
  async forReader(): Promise<void> {
    const noneWaits = this.#line.length === 0 && this.#readers.length === 0;
    if (!noneWaits || this.over()) await this.#wait(this.#readers);
  }

  #wait(line: Array<() => void>): Promise<void> {
    return new Promise((resolve) => {
      line.push(resolve);
      if (!this.#roundWaits) this.#nextRound();
    });
  }

  /** The first work of a round begins its slice; the next round begins another, for the head of the queue. */
  #nextRound(): void {
    this.#roundWaits = true;
    this.#began = this.#clock.now();
    this.#clock.after(0, () => {
      this.#roundWaits = false;
      if (this.#line.length + this.#readers.length === 0) return;
      this.#nextRound();
      this.#fleetSlices += 1;
      const readersFirst = this.#fleetSlices >= READERS_EVERY_SLICES && this.#readers.length > 0;
      const ofFleet = readersFirst ? undefined : this.#line.shift();
      if (ofFleet) ofFleet();
      else void this.#serveReaders();
    });
  }

  /** A reader's job is often small: as many as fit run in one slice. */
  async #serveReaders(): Promise<void> {
    this.#fleetSlices = 0;
    do {
      this.#readers.shift()?.();
      for (let promise = 0; promise < PROMISES_UNTIL_WORK; promise += 1) await undefined;
    } while (this.#readers.length > 0 && this.#clock.now() - this.#began < SLICE_MS);
  }
}
