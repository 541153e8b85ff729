/** RFC 6298, section 2: how fast the estimates follow, and how much of the variation a timeout leaves room for. */
const SMOOTHED_PART = 1 / 8;
const VARIATION_PART = 1 / 4;
const VARIATIONS = 4;

/** How long answers take on a link, as TCP estimates it: smoothed, and by how much they vary. */
export class RoundTrips {
  #smoothedMs = 0;
  #variationMs = 0;

  took(ms: number): void {
    if (this.#smoothedMs === 0) {
      this.#smoothedMs = ms;
      this.#variationMs = ms / 2;
      return;
    }
    this.#variationMs += (Math.abs(this.#smoothedMs - ms) - this.#variationMs) * VARIATION_PART;
    this.#smoothedMs += (ms - this.#smoothedMs) * SMOOTHED_PART;
  }

  /** What hardly any answer takes longer than; 0 before the first. */
  get timeoutMs(): number {
    return this.#smoothedMs + VARIATIONS * this.#variationMs;
  }
}
