import type { Clock } from './clock.ts';

/** Repeated failures of one kind are one line in this interval. */
const EVERY_MS = 60_000;
const MOST_KINDS = 100;

/** Lets one line of each kind through a minute, and counts the lines in between. */
export class LimitedLog {
  readonly #clock: Clock;
  readonly #kinds = new Map<string, { at: number; more: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `write` if a line of this kind is due, with the number of lines left out since the last. */
  say(kind: string, write: (fields: { leftOut?: number }) => void): void {
    const now = this.#clock.now();
    const last = this.#kinds.get(kind);
    if (last && now - last.at < EVERY_MS) {
      last.more += 1;
      return;
    }
    if (this.#kinds.size >= MOST_KINDS) this.#kinds.clear();
    this.#kinds.set(kind, { at: now, more: 0 });
    write(last && last.more > 0 ? { leftOut: last.more } : {});
  }
}
