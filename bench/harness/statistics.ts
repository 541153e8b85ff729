/** Pure statistics of the bench. Values are in whatever unit they come in; none of these change their argument. */

/** The value below which a share `q` of the values lies (nearest rank); NaN of none. */
export function quantile(values: readonly number[], q: number): number {
  const ordered = [...values].sort((a, b) => a - b);
  return ordered[Math.max(0, Math.min(ordered.length - 1, Math.ceil(q * ordered.length) - 1))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export interface Spread {
  median: number;
  min: number;
  max: number;
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: quantile(values, 0), max: quantile(values, 1) };
}

/** The slope of the least-squares line through the points; NaN of fewer than two different `x`. */
export function slope(points: ReadonlyArray<{ x: number; y: number }>): number {
  const mean = (pick: (point: { x: number; y: number }) => number): number =>
    points.reduce((sum, point) => sum + pick(point), 0) / points.length;
  const x = mean((point) => point.x);
  const y = mean((point) => point.y);
  const over = points.reduce((sum, point) => sum + (point.x - x) * (point.y - y), 0);
  const under = points.reduce((sum, point) => sum + (point.x - x) ** 2, 0);
  return under > 0 ? over / under : Number.NaN;
}

const FINE_MS = 0.1;
const FINE_BUCKETS = 2_000;
const COARSE_BUCKETS = 10_000;

/**
 * Counts durations in buckets of 0.1 ms up to 200 ms and of 1 ms up to 10 s, so that a million of them take no
 * memory and the counts of several processes can be added.
 */
export class Histogram {
  readonly #buckets = new Uint32Array(FINE_BUCKETS + COARSE_BUCKETS);
  count = 0;

  add(ms: number): void {
    const fine = Math.max(0, Math.floor(ms / FINE_MS));
    const bucket =
      fine < FINE_BUCKETS
        ? fine
        : FINE_BUCKETS + Math.min(COARSE_BUCKETS - 1, Math.floor(ms - FINE_BUCKETS * FINE_MS));
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.count += 1;
  }

  clear(): void {
    this.#buckets.fill(0);
    this.count = 0;
  }

  /** The upper end of the bucket in which the quantile lies; NaN of none. */
  quantile(q: number): number {
    let left = Math.ceil(q * this.count);
    if (this.count === 0) return Number.NaN;
    for (const [bucket, count] of this.#buckets.entries()) {
      left -= count;
      if (left > 0 || count === 0) continue;
      return bucket < FINE_BUCKETS
        ? (bucket + 1) * FINE_MS
        : FINE_BUCKETS * FINE_MS + bucket - FINE_BUCKETS + 1;
    }
    return Number.NaN;
  }

  /** The buckets that hold something, to be sent to another process. */
  pack(): Array<[bucket: number, count: number]> {
    return [...this.#buckets.entries()].filter(([, count]) => count > 0);
  }

  merge(packed: ReadonlyArray<readonly [bucket: number, count: number]>): void {
    for (const [bucket, count] of packed) {
      if (bucket >= this.#buckets.length) continue;
      this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + count;
      this.count += count;
    }
  }
}
