import { randomBytes, randomFillSync } from 'node:crypto';

const NAME_BYTES = 12;
/** A multiple of three, so that these bytes are the same characters of every name. */
const MARK_BYTES = 6;
const NAMES_AT_ONCE = 256;

/**
 * Unique names of changes, all with the same beginning, which no other hub uses. Every record keeps one. `randomUUID`
 * would do, but its text consists of thirteen pieces in memory until it is read, and a store in memory never reads it.
 */
export class ChangeNames {
  readonly #mark = randomBytes(MARK_BYTES);
  readonly #pool = Buffer.allocUnsafe(NAMES_AT_ONCE * NAME_BYTES);
  #at = this.#pool.length;
  /** The common beginning. */
  readonly mark = this.#mark.toString('base64url');

  next(): string {
    if (this.#at === this.#pool.length) this.#refill();
    this.#at += NAME_BYTES;
    return this.#pool.toString('base64url', this.#at - NAME_BYTES, this.#at);
  }

  #refill(): void {
    randomFillSync(this.#pool);
    for (let at = 0; at < this.#pool.length; at += NAME_BYTES) this.#mark.copy(this.#pool, at);
    this.#at = 0;
  }
}
