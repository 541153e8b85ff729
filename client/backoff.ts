/** A pause after this long without trouble begins small again. */
const GOOD_MS = 60_000;

/**
 * Pauses that double with each failure, up to a longest one, each spread at random over most of its length: the other
 * clients of a hub lost it at the same moment.
 */
export class Backoff {
  readonly #firstMs: number;
  readonly #longestMs: number;
  #failures = 0;
  #goodSince: number | undefined;

  constructor(firstMs: number, longestMs: number) {
    this.#firstMs = firstMs;
    this.#longestMs = Math.max(firstMs, longestMs);
  }

  /** All is well from now on. What fails within a minute still counts as a failure more. */
  good(): void {
    this.#goodSince ??= performance.now();
  }

  /** The pause after one more failure, milliseconds. */
  next(): number {
    if (this.#goodSince !== undefined && performance.now() - this.#goodSince > GOOD_MS) this.#failures = 0;
    this.#goodSince = undefined;
    const most = Math.min(this.#longestMs, this.#firstMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return most * (0.2 + 0.8 * Math.random());
  }

  reset(): void {
    this.#failures = 0;
    this.#goodSince = undefined;
  }
}
