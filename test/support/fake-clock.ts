import { createClock } from '@sinonjs/fake-timers';
import type { Cancel, Clock } from '../../server/runtime/clock.ts';

/** Where every fake clock begins: a plain moment, so that instants in failures are easy to read. */
export const FAKE_START = Date.parse('2026-01-01T00:00:00.000Z');

/** A clock that stands still until it is told to go on. */
export class FakeClock implements Clock {
  readonly #clock = createClock(FAKE_START);
  #steppedMs = 0;

  now(): number {
    return this.#clock.now;
  }

  wall(): number {
    return this.#clock.now + this.#steppedMs;
  }

  /** The wall clock alone is set. */
  step(ms: number): void {
    this.#steppedMs += ms;
  }

  after(delayMs: number, run: () => void): Cancel {
    const timer = this.#clock.setTimeout(run, delayMs);
    return () => this.#clock.clearTimeout(timer);
  }

  every(intervalMs: number, run: () => void): Cancel {
    const timer = this.#clock.setInterval(run, intervalMs);
    return () => this.#clock.clearInterval(timer);
  }

  /** Lets time pass, running what becomes due and the promises that it settles. */
  async advance(ms: number): Promise<void> {
    await this.#clock.tickAsync(ms);
    await this.settle();
  }

  /** Runs what is due now, promises included, without time passing. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 20; turn += 1) await this.#clock.tickAsync(0);
  }

  /** Time passes at once, with nobody running: a process that was stopped and continued. */
  jump(ms: number): void {
    this.#clock.jump(ms);
  }
}
