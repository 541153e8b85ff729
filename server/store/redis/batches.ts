/** Bytes of arguments in one script call: a larger one delays every other client of the server. */
export const BATCH_BYTES = 256 * 1024;

/** Splits a list into runs of at most `BATCH_BYTES`, except a single item that is larger. */
export function* runsOf<T>(
  items: readonly T[],
  bytesOf: (item: T) => number,
): Generator<{ from: number; items: readonly T[]; bytes: number }> {
  let from = 0;
  let bytes = 0;
  for (const [index, item] of items.entries()) {
    const size = bytesOf(item);
    if (index > from && bytes + size > BATCH_BYTES) {
      yield { from, items: items.slice(from, index), bytes };
      from = index;
      bytes = 0;
    }
    bytes += size;
  }
  if (from < items.length) yield { from, items: items.slice(from), bytes };
}

/** Bytes of the arguments of one item. */
export function argumentBytes(args: readonly string[]): number {
  return args.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}

/** Splits groups of arguments into batches, each with the index of its first group. */
export function* batchesOf<T>(
  groups: readonly T[],
  toArguments: (group: T) => string[],
): Generator<{ from: number; args: string[] }> {
  for (const { from, items } of runsOf(groups.map(toArguments), argumentBytes)) {
    yield { from, args: items.flat() };
  }
}

/** A lifetime for a script: whole milliseconds, at least one. */
export const ttlText = (ttlMs: number): string => String(Math.max(1, Math.floor(ttlMs)));
