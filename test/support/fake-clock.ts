import { createClock } from '@sinonjs/fake-timers';
import type { AgentClock } from '../../agent/index.ts';
import type { Cancel, Clock } from '../../server/runtime/clock.ts';

/** Where every fake clock begins: a plain moment, so that instants in failures are easy to read. */
export const FAKE_START = Date.parse('2026-01-01T00:00:00.000Z');

/** A clock of hubs and agents that stands still until it is told to go on. */
export class FakeClock implements Clock, AgentClock {
  readonly #clock = createClock(FAKE_START);
  #suspendedMs = 0;
  #steppedMs = 0;
  readonly bootMs?: () => number;

  constructor({ knowsBoot = true } = {}) {
    if (knowsBoot) this.bootMs = () => this.nowMs() + this.#suspendedMs;
  }

  now(): number {
    return this.#clock.now;
  }

  wall(): number {
    return this.#clock.now + this.#suspendedMs + this.#steppedMs;
  }

  nowMs(): number {
    return this.#clock.now - FAKE_START;
  }

  wallMs(): number {
    return this.wall();
  }

  after(delayMs: number, run: () => void): Cancel {
    const timer = this.#clock.setTimeout(run, Math.max(0, delayMs));
    return () => this.#clock.clearTimeout(timer);
  }

  every(intervalMs: number, run: () => void): Cancel {
    const timer = this.#clock.setInterval(run, intervalMs);
    return () => this.#clock.clearInterval(timer);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve));
  }

  /** Timers that have not fired. */
  timers(): number {
    return this.#clock.countTimers();
  }

  /** Lets time pass; timers fire on the way. */
  tick(ms: number): void {
    this.#clock.tick(ms);
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

  /** The wall clock alone is set. */
  step(ms: number): void {
    this.#steppedMs += ms;
  }

  /** The machine sleeps: the wall clock and the boot time go on, and nothing else. */
  suspend(ms: number): void {
    this.#suspendedMs += ms;
  }
}
