import { createClock } from '@sinonjs/fake-timers';
import type { AgentClock } from '../../agent/index.ts';

export interface FakeClock extends AgentClock {
  /** Lets time pass; timers fire on the way. */
  tick(ms: number): void;
  /** The wall clock and the boot time go on, and nothing else notices: the machine slept. */
  sleep(ms: number): void;
  /** The wall clock alone is set. */
  step(ms: number): void;
  /** Time passes in which no timer runs: the process was stopped. */
  freeze(ms: number): void;
  /** Timers that have not fired. */
  timers(): number;
}

/** A clock that stands still until it is told to go. */
export function fakeClock({ knowsBoot = true } = {}): FakeClock {
  const timers = createClock(Date.parse('2026-01-02T09:27:41.446Z'));
  const startMs = timers.now;
  let sleptMs = 0;
  let steppedMs = 0;
  return {
    wallMs: () => timers.now + sleptMs + steppedMs,
    nowMs: () => timers.now - startMs,
    ...(knowsBoot && { bootMs: () => timers.now - startMs + sleptMs }),
    after(ms, run) {
      const timer = timers.setTimeout(run, Math.max(0, ms));
      return () => timers.clearTimeout(timer);
    },
    tick: (ms) => void timers.tick(ms),
    sleep(ms) {
      sleptMs += ms;
    },
    step(ms) {
      steppedMs += ms;
    },
    freeze: (ms) => void timers.jump(ms),
    timers: () => timers.countTimers(),
  };
}
