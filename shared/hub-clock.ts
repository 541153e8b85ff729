/**
 * The hub's time, as a client sees it: what the hub said, and how long ago by a clock that only goes forward. So the
 * client's own wall clock may be wrong, or be set, and times of the fleet are still told right.
 */
export class HubClock {
  #aheadMs: number | undefined;
  readonly #steadyMs: () => number;
  readonly #wallMs: () => number;

  constructor(steadyMs: () => number = () => performance.now(), wallMs: () => number = () => Date.now()) {
    this.#steadyMs = steadyMs;
    this.#wallMs = wallMs;
  }

  /** The hub said what time it is. */
  heard(hubTime: string): void {
    const ms = Date.parse(hubTime);
    if (!Number.isNaN(ms)) this.#aheadMs = ms - this.#steadyMs();
  }

  /** Milliseconds since the epoch by the hub's clock; by this machine's while the hub, or an older one, has not said. */
  now(): number {
    return this.#aheadMs === undefined ? this.#wallMs() : this.#steadyMs() + this.#aheadMs;
  }
}
