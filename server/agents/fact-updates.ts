import type { Register } from '../../shared/index.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Lenient } from './decode.ts';

/** A node's facts are written at most this often. */
const EVERY_MS = 1_000;

/** An update that is to be written, and for each message that it answers what was dropped of that one. */
export interface Update {
  message: Lenient<Register>;
  answers: Array<Lenient<Register>['dropped']>;
}

/**
 * The further `register`s of one session. Those that come while one waits to be written take its place, and are
 * answered with it: the newest facts are written, at most once a second.
 */
export class FactUpdates {
  readonly #clock: Clock;
  #waiting: Update | undefined;
  #writtenAt = Number.NEGATIVE_INFINITY;
  #hurry = (): void => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes the place of one that waits; false where none does, or it names another node. */
  joins(message: Lenient<Register>): boolean {
    const waiting = this.#waiting;
    if (!waiting || nameOf(waiting.message) !== nameOf(message)) return false;
    waiting.message = message;
    waiting.answers.push(message.dropped);
    return true;
  }

  /** Begins one that others may join until its turn. */
  begin(message: Lenient<Register>): Update {
    this.#waiting = { message, answers: [message.dropped] };
    return this.#waiting;
  }

  /** Resolves when an update may be written, after `heldMs` at the soonest; nothing where that is now. */
  turn(heldMs: number): Promise<void> | undefined {
    const waitMs = Math.max(heldMs, this.#writtenAt + EVERY_MS - this.#clock.now());
    if (waitMs <= 0) return undefined;
    return new Promise((resolve) => {
      const cancel = this.#clock.after(waitMs, resolve);
      this.#hurry = () => {
        cancel();
        resolve();
      };
    });
  }

  /** Its turn has come: none joins it any more. */
  take(update: Update): void {
    if (this.#waiting === update) this.#waiting = undefined;
  }

  /** One was written. */
  written(): void {
    this.#writtenAt = this.#clock.now();
  }

  /** Nothing waits any more: the session ends. */
  hurry(): void {
    this.#hurry();
  }
}

/** What a message calls its node. */
const nameOf = ({ node }: Register): string => node.nodeId ?? node.hostname;
