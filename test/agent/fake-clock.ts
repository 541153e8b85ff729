import { createClock } from '@sinonjs/fake-timers';
import type { AgentClock } from '../../agent/index.ts';

export interface FakeClock extends AgentClock {
  /** Lets time pass; timers fire on the way. */
  tick(ms: number): void;
  /** The wall clock jumps, and nothing else notices: the machine slept. */
  sleep(ms: number): void;
  /** Timers that have not fired. */
  timers(): number;
}

/** A clock that stands still until it is told to go. */
export function fakeClock(): FakeClock {
  const timers = createClock(Date.parse('2026-01-02T09:27:41.446Z'));
  const startMs = timers.now;
  let sleptMs = 0;
  return {
    wallMs: () => timers.now + sleptMs,
    nowMs: () => timers.now - startMs,
    after(ms, run) {
      const timer = timers.setTimeout(run, Math.max(0, ms));
      return () => timers.clearTimeout(timer);
    },
    tick: (ms) => void timers.tick(ms),
    sleep(ms) {
      sleptMs += ms;
    },
    timers: () => timers.countTimers(),
  };
}
