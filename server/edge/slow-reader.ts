/** How often it is looked at what readers leave unread. */
export const LOOK_EVERY_MS = 1_000;
/** So much may be unread when more is to be sent: a burst such as the loss of 10,000 nodes, with their whole records. */
const MOST_UNREAD_BYTES = 16 * 1024 * 1024;
/** More unread than this at every look for so long, and the reader is slower than the fleet. */
const BEHIND_BYTES = 4 * 1024 * 1024;
const BEHIND_LOOKS = 10;
/** So many looks without less unread than at the one before: the reader takes nothing. */
const STUCK_LOOKS = 30;

/**
 * Whether somebody who is told what happens in the fleet reads it. The hub has a turn to write between two looks,
 * so it is the reader that is judged, and neither a burst of the hub's own making nor a hub that stood still.
 */
export class Reading {
  #before = 0;
  #looksBehind = 0;
  #looksStuck = 0;

  /** To be called every `LOOK_EVERY_MS` with what is unread. Returns why the reader is to be cut off, or nothing. */
  look(unreadBytes: number): string | undefined {
    this.#looksBehind = isBehind(unreadBytes) ? this.#looksBehind + 1 : 0;
    this.#looksStuck = unreadBytes > 0 && unreadBytes >= this.#before ? this.#looksStuck + 1 : 0;
    this.#before = unreadBytes;
    if (this.#looksBehind >= BEHIND_LOOKS) return 'it reads too slowly';
    return this.#looksStuck >= STUCK_LOOKS ? 'it takes nothing' : undefined;
  }
}

/** So much is unread that what can wait should. */
export const isBehind = (unreadBytes: number): boolean => unreadBytes > BEHIND_BYTES;

/** So much is unread that more of it would make the hub grow. */
export const isFull = (unreadBytes: number): boolean => unreadBytes > MOST_UNREAD_BYTES;
