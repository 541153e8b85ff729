/** Bytes of arguments in one script call: a larger one holds up everybody else at the server. */
export const BATCH_BYTES = 256 * 1024;

/** Cuts groups of arguments into batches of at most `BATCH_BYTES`, where a single one is not larger already. */
export function* batchesOf<T>(
  groups: readonly T[],
  toArguments: (group: T) => string[],
): Generator<{ from: number; args: string[] }> {
  let batch: { from: number; args: string[] } = { from: 0, args: [] };
  let bytes = 0;
  for (const [index, group] of groups.entries()) {
    const args = toArguments(group);
    const size = args.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    if (batch.args.length > 0 && bytes + size > BATCH_BYTES) {
      yield batch;
      batch = { from: index, args: [] };
      bytes = 0;
    }
    // One by one: spreading thousands of arguments at once would overflow the stack.
    for (const text of args) batch.args.push(text);
    bytes += size;
  }
  if (batch.args.length > 0) yield batch;
}
