import { randomBytes, randomFillSync } from 'node:crypto';

const NAME_BYTES = 12;
/** A multiple of three, so that it is the same characters of every name. */
const MARK_BYTES = 6;
const NAMES_AT_ONCE = 256;

/**
 * Names of changes that no other change has, all with the same beginning, which no other hub's have. Every record
 * keeps one. `randomUUID` would do, but leaves a text of thirteen pieces in memory, some 450 bytes, until somebody
 * reads it, which nobody does of a store in memory.
 */
export class ChangeNames {
  readonly #mark = randomBytes(MARK_BYTES);
  readonly #pool = Buffer.allocUnsafe(NAMES_AT_ONCE * NAME_BYTES);
  #at = this.#pool.length;
  /** What they all begin with. */
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
