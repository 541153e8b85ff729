/** Rows of one chunk: twice as many are split. */
const CHUNK = 256;

/**
 * Rows in order, in chunks: taking one out or putting one in moves a few hundred entries at most, however long
 * the list is. The order must be total: of two different rows, one comes first.
 */
export class OrderedRows<T> {
  readonly #compare: (a: T, b: T) => number;
  #chunks: T[][] = [];
  #size: number;

  constructor(compare: (a: T, b: T) => number, rows: T[] = []) {
    this.#compare = compare;
    this.#size = rows.length;
    const sorted = rows.sort(compare);
    for (let from = 0; from < sorted.length; from += CHUNK)
      this.#chunks.push(sorted.slice(from, from + CHUNK));
  }

  get size(): number {
    return this.#size;
  }

  insert(row: T): void {
    const at = Math.min(this.#chunkFor(row), this.#chunks.length - 1);
    const chunk = this.#chunks[at];
    if (!chunk) {
      this.#chunks.push([row]);
    } else {
      chunk.splice(this.#placeIn(chunk, row), 0, row);
      if (chunk.length > 2 * CHUNK) this.#chunks.splice(at + 1, 0, chunk.splice(CHUNK));
    }
    this.#size += 1;
  }

  /** Takes out the row that compares equal to this one. False where there is none. */
  remove(row: T): boolean {
    const at = this.#chunkFor(row);
    const chunk = this.#chunks[at];
    if (!chunk) return false;
    const place = this.#placeIn(chunk, row);
    const found = chunk[place];
    if (found === undefined || this.#compare(found, row) !== 0) return false;
    chunk.splice(place, 1);
    if (chunk.length === 0) this.#chunks.splice(at, 1);
    this.#size -= 1;
    return true;
  }

  at(index: number): T | undefined {
    let rest = index;
    for (const chunk of this.#chunks) {
      if (rest < chunk.length) return chunk[rest];
      rest -= chunk.length;
    }
    return undefined;
  }

  /** Where a row stands, or -1. */
  indexOf(row: T): number {
    const at = this.#chunkFor(row);
    const chunk = this.#chunks[at];
    if (!chunk) return -1;
    const place = this.#placeIn(chunk, row);
    const found = chunk[place];
    if (found === undefined || this.#compare(found, row) !== 0) return -1;
    let before = 0;
    for (let index = 0; index < at; index += 1) before += this.#chunks[index]?.length ?? 0;
    return before + place;
  }

  *[Symbol.iterator](): Generator<T> {
    for (const chunk of this.#chunks) yield* chunk;
  }

  /** The first chunk whose last row does not come before this one; their number where there is none. */
  #chunkFor(row: T): number {
    return firstIndex(this.#chunks.length, (index) => {
      const last = this.#chunks[index]?.at(-1);
      return last === undefined || this.#compare(last, row) >= 0;
    });
  }

  #placeIn(chunk: readonly T[], row: T): number {
    return firstIndex(chunk.length, (index) => {
      const other = chunk[index];
      return other === undefined || this.#compare(other, row) >= 0;
    });
  }
}

/** The first index below `length` for which it holds; it must hold for all after it too. */
function firstIndex(length: number, holds: (index: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
