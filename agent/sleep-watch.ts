import type { AgentClock } from './clock.ts';

/** How often the wall clock is looked at. */
const LOOK_EVERY_MS = 1_000;
/** A wall clock this much further than it should be means that the machine slept. */
const JUMP_MS = 10_000;

/**
 * Notices that this machine slept: timers and the monotonic clock stand still meanwhile, and an open socket
 * still looks open afterwards, but the wall clock has jumped. One watch serves all agents of a process.
 */
class SleepWatch {
  readonly #clock: AgentClock;
  readonly #listeners = new Set<() => void>();
  #cancel: (() => void) | undefined;
  #lastWallMs = 0;

  constructor(clock: AgentClock) {
    this.#clock = clock;
  }

  add(listener: () => void): () => void {
    this.#listeners.add(listener);
    if (this.#cancel === undefined) this.#look();
    return () => this.#remove(listener);
  }

  #remove(listener: () => void): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0) return;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #look(): void {
    this.#lastWallMs = this.#clock.wallMs();
    this.#cancel = this.#clock.after(LOOK_EVERY_MS, () => {
      const jumpMs = this.#clock.wallMs() - this.#lastWallMs - LOOK_EVERY_MS;
      this.#look();
      if (jumpMs > JUMP_MS) for (const listener of [...this.#listeners]) listener();
    });
  }
}

const watches = new WeakMap<AgentClock, SleepWatch>();

/** Calls `listener` after each sleep of this machine, until the returned function is called. */
export function onWake(clock: AgentClock, listener: () => void): () => void {
  const watch = watches.get(clock) ?? new SleepWatch(clock);
  watches.set(clock, watch);
  return watch.add(listener);
}
