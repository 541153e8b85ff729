/** The number of items that are sorted in one step: a few milliseconds. */
const RUN = 1_024;

/** Sorts in small steps: a merge sort that yields after each run and with each merged entry. It returns a new list. */
export function* sorting<T>(items: readonly T[], compare: (a: T, b: T) => number): Generator<void, T[]> {
  let runs: T[][] = [];
  for (let from = 0; from < items.length; from += RUN) {
    runs.push(items.slice(from, from + RUN).sort(compare));
    // One run is as much work as merging this many entries.
    for (let step = 0; step < RUN; step += 1) yield;
  }
  while (runs.length > 1) {
    const longer: T[][] = [];
    for (let pair = 0; pair < runs.length; pair += 2) {
      longer.push(yield* merging(runs[pair] ?? [], runs[pair + 1] ?? [], compare));
    }
    runs = longer;
  }
  return runs[0] ?? [];
}

function* merging<T>(left: T[], right: T[], compare: (a: T, b: T) => number): Generator<void, T[]> {
  if (right.length === 0) return left;
  const merged: T[] = [];
  let taken = 0;
  for (const item of left) {
    for (; taken < right.length; taken += 1) {
      const other = right[taken];
      if (other === undefined || compare(other, item) >= 0) break;
      merged.push(other);
      yield;
    }
    merged.push(item);
    yield;
  }
  for (; taken < right.length; taken += 1) {
    const other = right[taken];
    if (other !== undefined) merged.push(other);
  }
  return merged;
}
