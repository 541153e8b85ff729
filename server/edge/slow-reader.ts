/** How often the unread bytes of readers are checked. */
export const CHECK_EVERY_MS = 1_000;
/** The most unread bytes of a reader that gets more: a burst such as the loss of a large fleet, with whole records. */
const MOST_UNREAD_BYTES = 16 * 1024 * 1024;
/** A reader with more unread than this at every one of `BEHIND_CHECKS` checks is slower than the fleet. */
const BEHIND_BYTES = 4 * 1024 * 1024;
const BEHIND_CHECKS = 10;
/** A reader whose unread bytes do not fall in this many checks takes nothing. */
const STUCK_CHECKS = 30;

/**
 * Whether a reader of the fleet's changes keeps up. The hub writes between two checks, so the measure is the reader,
 * neither a burst of the hub nor a stall of the hub.
 */
export class SlowReaderWatch {
  #before = 0;
  #checksBehind = 0;
  #checksStuck = 0;

  /** To be called every `CHECK_EVERY_MS`. Returns the reason for which the reader is to be cut off, if any. */
  check(unreadBytes: number): string | undefined {
    this.#checksBehind = isBehind(unreadBytes) ? this.#checksBehind + 1 : 0;
    this.#checksStuck = unreadBytes > 0 && unreadBytes >= this.#before ? this.#checksStuck + 1 : 0;
    this.#before = unreadBytes;
    if (this.#checksBehind >= BEHIND_CHECKS) return 'it reads too slowly';
    return this.#checksStuck >= STUCK_CHECKS ? 'it takes nothing' : undefined;
  }
}

/** Whether messages that can wait should wait. */
export const isBehind = (unreadBytes: number): boolean => unreadBytes > BEHIND_BYTES;

/** Whether a further message would make the hub's memory grow. */
export const isFull = (unreadBytes: number): boolean => unreadBytes > MOST_UNREAD_BYTES;
