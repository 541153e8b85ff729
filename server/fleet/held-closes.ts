import type { Cancel, Clock } from '../clock.ts';
import type { Closing } from './decide-liveness.ts';

/** Closes that are held back at most; those beyond it are left to their heartbeats. */
const MOST_HELD = 100_000;

/**
 * Closes that are not written yet: they came while this hub stood still, when agents could not but give it up. Each is
 * written at its time, and then changes nothing where its agent has registered again, here or on another hub.
 */
export class HeldCloses {
  readonly #clock: Clock;
  readonly #write: (id: string, closing: Closing) => void;
  /** The newest of each node, by when it is due. */
  readonly #held = new Map<string, { closing: Closing; dueAt: number }>();
  #cancel: Cancel | undefined;

  constructor(clock: Clock, write: (id: string, closing: Closing) => void) {
    this.#clock = clock;
    this.#write = write;
  }

  hold(id: string, closing: Closing, forMs: number): void {
    if (this.#held.size >= MOST_HELD) return;
    this.#held.set(id, { closing, dueAt: this.#clock.now() + forMs });
    this.#cancel ??= this.#clock.after(forMs, () => this.#writeDue());
  }

  /** What is held is left to the heartbeats. */
  end(): void {
    this.#cancel?.();
    this.#held.clear();
  }

  #writeDue(): void {
    this.#cancel = undefined;
    const now = this.#clock.now();
    let nextAt = Number.POSITIVE_INFINITY;
    for (const [id, { closing, dueAt }] of this.#held) {
      if (dueAt > now) {
        nextAt = Math.min(nextAt, dueAt);
        continue;
      }
      this.#held.delete(id);
      this.#write(id, closing);
    }
    if (this.#held.size > 0) this.#cancel = this.#clock.after(nextAt - now, () => this.#writeDue());
  }
}
