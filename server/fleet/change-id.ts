import { randomFillSync } from 'node:crypto';

const ID_BYTES = 12;
const pool = Buffer.allocUnsafe(256 * ID_BYTES);
let at = pool.length;

/**
 * A name that no other change has. Every record keeps one. `randomUUID` would do, but leaves a text of thirteen
 * pieces in memory, some 450 bytes, until somebody reads it, which nobody does of a store in memory.
 */
export function newChangeId(): string {
  if (at === pool.length) {
    randomFillSync(pool);
    at = 0;
  }
  at += ID_BYTES;
  return pool.toString('base64url', at - ID_BYTES, at);
}
