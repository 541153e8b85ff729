/** The sort key of entries: a value, then the id. Compared by UTF-16 code units. */
export interface OrderKey {
  value: string;
  id: string;
}

/** Chunks are split at twice this: large enough to be few, small enough for a cheap insertion. */
const CHUNK = 512;

/** Negative, zero or positive as `a` comes before, with or after `b`. */
export function compareKeys(a: OrderKey, b: OrderKey): number {
  if (a.value !== b.value) return a.value < b.value ? -1 : 1;
  if (a.id === b.id) return 0;
  return a.id < b.id ? -1 : 1;
}

/**
 * Entries in order, for lists that are paged while they change: a list of short sorted chunks, so that an insertion
 * touches one chunk and a page begins after a binary search.
 */
export class SortedEntries<T extends OrderKey> {
  readonly #chunks: T[][] = [];

  /** Takes sorted entries. */
  constructor(sorted: readonly T[] = []) {
    for (let from = 0; from < sorted.length; from += CHUNK)
      this.#chunks.push(sorted.slice(from, from + CHUNK));
  }

  insert(item: T): void {
    const at = Math.min(this.#chunkOf(item), this.#chunks.length - 1);
    const chunk = this.#chunks[at];
    if (!chunk) {
      this.#chunks.push([item]);
      return;
    }
    const index = lowerBound(chunk, (other) => compareKeys(other, item) >= 0);
    chunk.splice(index, 0, item);
    if (chunk.length >= 2 * CHUNK) this.#chunks.splice(at, 1, chunk.slice(0, CHUNK), chunk.slice(CHUNK));
  }

  delete(key: OrderKey): void {
    const at = this.#chunkOf(key);
    const chunk = this.#chunks[at];
    if (!chunk) return;
    const index = lowerBound(chunk, (other) => compareKeys(other, key) >= 0);
    const found = chunk[index];
    if (!found || compareKeys(found, key) !== 0) return;
    chunk.splice(index, 1);
    if (chunk.length === 0) this.#chunks.splice(at, 1);
  }

  /** In order, from the first entry after `after`; or backwards, from the last one before it. */
  *walk(descending: boolean, after?: OrderKey): IterableIterator<T> {
    if (descending) yield* this.#backwards(after);
    else yield* this.#forwards(after);
  }

  *#forwards(after?: OrderKey): IterableIterator<T> {
    const first = after ? this.#chunkOf(after) : 0;
    for (let at = first; at < this.#chunks.length; at += 1) {
      const chunk = this.#chunks[at] ?? [];
      let index = 0;
      if (at === first && after) index = lowerBound(chunk, (other) => compareKeys(other, after) > 0);
      for (; index < chunk.length; index += 1) {
        const item = chunk[index];
        if (item) yield item;
      }
    }
  }

  *#backwards(after?: OrderKey): IterableIterator<T> {
    const first = after ? Math.min(this.#chunkOf(after), this.#chunks.length - 1) : this.#chunks.length - 1;
    for (let at = first; at >= 0; at -= 1) {
      const chunk = this.#chunks[at] ?? [];
      let index = chunk.length - 1;
      if (at === first && after) index = lowerBound(chunk, (other) => compareKeys(other, after) >= 0) - 1;
      for (; index >= 0; index -= 1) {
        const item = chunk[index];
        if (item) yield item;
      }
    }
  }

  /** The first chunk whose last entry is not before the key. */
  #chunkOf(key: OrderKey): number {
    return lowerBound(this.#chunks, (chunk) => {
      const last = chunk.at(-1);
      return last !== undefined && compareKeys(last, key) >= 0;
    });
  }
}

/** The first index at which `isAtOrAfter` holds; the list's length if there is none. */
function lowerBound<T>(list: readonly T[], isAtOrAfter: (item: T) => boolean): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const item = list[middle];
    if (item !== undefined && isAtOrAfter(item)) high = middle;
    else low = middle + 1;
  }
  return low;
}
