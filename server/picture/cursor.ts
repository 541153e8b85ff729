import { createHash } from 'node:crypto';
import { type Filter, filterKey, type Subscribe } from '../../shared/index.ts';
import type { Position } from '../store/fleet-store.ts';

const DIGEST_BYTES = 8;

/** Two subscriptions with the same key get the same changes. */
export function subscriptionKey(filter: Filter, fields: Subscribe['fields']): string {
  return `${fields} ${filterKey(filter)}`;
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest().subarray(0, DIGEST_BYTES);

/** The identity of the data sets of all shards: a cursor is void once any of these is replaced. */
const epochsDigest = (positions: readonly Position[]): Buffer =>
  digest(JSON.stringify(positions.map(({ epoch }) => epoch)));

/**
 * Encodes and decodes the cursors of one kind of subscription: the position in each shard's log, the data sets, and the
 * filter. Opaque to clients: base64url of the digests of filter and epochs, then two numbers a shard.
 */
export class CursorCodec {
  readonly #key: Buffer;

  constructor(key: string) {
    this.#key = digest(key);
  }

  encode(positions: readonly Position[]): string {
    const bytes: number[] = [...this.#key, ...epochsDigest(positions)];
    for (const { at } of positions) for (const part of at.split('-')) pushNumber(bytes, Number(part));
    return Buffer.from(bytes).toString('base64url');
  }

  /** Whether this is a cursor of this kind at all, of any data set. */
  isOurs(text: string): boolean {
    const bytes = Buffer.from(text, 'base64url');
    return bytes.toString('base64url') === text && bytes.subarray(0, this.#key.length).equals(this.#key);
  }

  /**
   * The positions of a cursor that was made for this key, the same number of shards and the same data sets as
   * `current`; else undefined. It never throws.
   */
  decode(text: string, current: readonly Position[]): Position[] | undefined {
    const bytes = Buffer.from(text, 'base64url');
    if (bytes.toString('base64url') !== text) return undefined;
    const head = Buffer.concat([this.#key, epochsDigest(current)]);
    if (!bytes.subarray(0, head.length).equals(head)) return undefined;
    const numbers = readNumbers(bytes.subarray(head.length));
    if (numbers?.length !== 2 * current.length) return undefined;
    return current.map(({ epoch }, shard) => ({
      epoch,
      at: `${numbers[2 * shard]}-${numbers[2 * shard + 1]}`,
    }));
  }
}

/** Seven bits a byte, the lowest first; the top bit means that more bytes follow. */
function pushNumber(bytes: number[], value: number): void {
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80);
  bytes.push(rest);
}

function readNumbers(bytes: Buffer): number[] | undefined {
  const numbers: number[] = [];
  let value = 0;
  let scale = 1;
  for (const byte of bytes) {
    value += (byte % 0x80) * scale;
    if (!Number.isSafeInteger(value)) return undefined;
    if (byte >= 0x80) {
      scale *= 0x80;
    } else {
      numbers.push(value);
      value = 0;
      scale = 1;
    }
  }
  return scale === 1 ? numbers : undefined;
}
