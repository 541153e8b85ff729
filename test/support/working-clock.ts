import { FakeClock } from './fake-clock.ts';

/** Time passes by working: each look at the clock costs a millisecond. */
export class WorkingClock extends FakeClock {
  #workedMs = 0;

  override now(): number {
    this.#workedMs += 1;
    return super.now() + this.#workedMs;
  }

  work(ms: number): void {
    this.#workedMs += ms;
  }
}
