/** Tokens per millisecond, and a burst above that. */
export interface Rate {
  readonly perMs: number;
  readonly burst: number;
}

/** The tokens of a rate after a period in which none was taken. Tokens given beyond the burst stay. */
export function refilled({ perMs, burst }: Rate, tokens: number, passedMs: number): number {
  return Math.max(tokens, Math.min(burst, tokens + passedMs * perMs));
}

/** A token bucket. The caller passes the time, so that one clock reading serves a whole frame. */
export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #at: number;

  constructor(perSecond: number, burst: number, now: number) {
    this.#rate = { perMs: perSecond / 1_000, burst };
    this.#tokens = burst;
    this.#at = now;
  }

  /** Adds tokens once, also above the burst: they stay until they are taken. */
  give(tokens: number, now: number): void {
    this.#tokens = refilled(this.#rate, this.#tokens, now - this.#at) + tokens;
    this.#at = now;
  }

  /** Takes one token; false if none is left above the reserve. */
  take(now: number, reserve = 0): boolean {
    this.#tokens = refilled(this.#rate, this.#tokens, now - this.#at);
    this.#at = now;
    if (this.#tokens < reserve + 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
