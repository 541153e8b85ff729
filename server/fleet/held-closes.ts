import type { Closing } from '../rules/liveness.ts';
import type { Cancel, Clock } from '../runtime/clock.ts';

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
  /** When the timer ends, hub time. */
  #nextAt = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, write: (id: string, closing: Closing) => void) {
    this.#clock = clock;
    this.#write = write;
  }

  hold(id: string, closing: Closing, forMs: number): void {
    if (this.#held.size >= MOST_HELD) return;
    const dueAt = this.#clock.now() + forMs;
    this.#held.set(id, { closing, dueAt });
    // One with a shorter timeout does not wait for those with a longer one.
    if (dueAt < this.#nextAt) this.#wakeAt(dueAt);
  }

  /** What is held is left to the heartbeats. */
  end(): void {
    this.#cancel?.();
    this.#held.clear();
  }

  #wakeAt(at: number): void {
    this.#cancel?.();
    this.#nextAt = at;
    this.#cancel = this.#clock.after(at - this.#clock.now(), () => this.#writeDue());
  }

  #writeDue(): void {
    this.#nextAt = Number.POSITIVE_INFINITY;
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
    if (nextAt < this.#nextAt) this.#wakeAt(nextAt);
  }
}
