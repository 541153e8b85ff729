import type { AgentClock } from './clock.ts';

/** How often the clocks are compared. */
const LOOK_EVERY_MS = 1_000;
/** Clocks that are further apart than this mean that the machine slept, or that one of them was set. */
const JUMP_MS = 10_000;

/**
 * What the time between two looks was. `slept`: the machine slept, and its connections are lost. `unsure`: the
 * process was stopped, the wall clock was set forwards, or a virtual machine was paused; the connection may be well.
 */
export type Gap = 'none' | 'slept' | 'unsure';

/** The clocks at one moment, milliseconds. */
export interface ClockReading {
  wallMs: number;
  nowMs: number;
  bootMs: number | undefined;
}

/**
 * A sleep is what boot time counts and the monotonic clock does not; the wall clock says nothing, anybody may set it.
 * Without a boot time the monotonic clock itself counts sleep (Windows, macOS), so a late timer is taken for one.
 */
export function gapBetween(before: ClockReading, after: ClockReading): Gap {
  const ranMs = after.nowMs - before.nowMs;
  const late = ranMs - LOOK_EVERY_MS > JUMP_MS;
  if (before.bootMs === undefined || after.bootMs === undefined) {
    if (late) return 'slept';
  } else if (after.bootMs - before.bootMs - ranMs > JUMP_MS) return 'slept';
  return late || after.wallMs - before.wallMs - ranMs > JUMP_MS ? 'unsure' : 'none';
}

/** Looks once a second for a sleep of this machine. One watch serves all agents of a process. */
class SleepWatch {
  readonly #clock: AgentClock;
  readonly #listeners = new Set<(gap: 'slept' | 'unsure') => void>();
  #cancel: (() => void) | undefined;

  constructor(clock: AgentClock) {
    this.#clock = clock;
  }

  add(listener: (gap: 'slept' | 'unsure') => void): () => void {
    this.#listeners.add(listener);
    if (this.#cancel === undefined) this.#look();
    return () => this.#remove(listener);
  }

  #remove(listener: (gap: 'slept' | 'unsure') => void): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0) return;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #look(): void {
    const before = this.#read();
    this.#cancel = this.#clock.after(LOOK_EVERY_MS, () => {
      const gap = gapBetween(before, this.#read());
      this.#look();
      if (gap !== 'none') for (const listener of [...this.#listeners]) listener(gap);
    });
  }

  #read(): ClockReading {
    const clock = this.#clock;
    return { wallMs: clock.wallMs(), nowMs: clock.nowMs(), bootMs: clock.bootMs?.() };
  }
}

const watches = new WeakMap<AgentClock, SleepWatch>();

/** Calls `listener` after each sleep of this machine, or what may be one, until the returned function is called. */
export function onWake(clock: AgentClock, listener: (gap: 'slept' | 'unsure') => void): () => void {
  const watch = watches.get(clock) ?? new SleepWatch(clock);
  watches.set(clock, watch);
  return watch.add(listener);
}
