/** The share of the agents hit after whose return most of it is over. */
const NEARLY_ALL = 0.99;
/** So many are kept for the summary; the rest only count. */
const MOST_KEPT = 200;

/** Something that took agents off the hub, and how long it took until they were registered again. */
export class Disruption {
  /** How many agents it hit. */
  hit = 0;
  #back = 0;
  #nearlyAllAt: number | undefined;
  #allAt: number | undefined;

  /** @param freeAtMs from when on its agents were free to return. */
  constructor(
    readonly what: string,
    readonly freeAtMs: number,
  ) {}

  get over(): boolean {
    return this.#allAt !== undefined;
  }

  /** Milliseconds from `freeAtMs` until nearly all, and until all were back; undefined while they are not. */
  get nearlyAllMs(): number | undefined {
    return this.#nearlyAllAt === undefined ? undefined : this.#nearlyAllAt - this.freeAtMs;
  }

  get allMs(): number | undefined {
    return this.#allAt === undefined ? undefined : this.#allAt - this.freeAtMs;
  }

  lost(): void {
    this.hit += 1;
    this.#allAt = undefined;
    if (this.#back < this.hit * NEARLY_ALL) this.#nearlyAllAt = undefined;
  }

  back(nowMs: number): void {
    this.#back += 1;
    if (this.#back >= this.hit * NEARLY_ALL) this.#nearlyAllAt ??= nowMs;
    if (this.#back === this.hit) this.#allAt = nowMs;
  }

  /** An agent that was hit by the next one before it came back: it belongs there. */
  overtaken(nowMs: number): void {
    this.hit -= 1;
    this.#back -= 1;
    this.back(nowMs);
  }
}

/** Every disruption of a run: those of the profile, and what the hub or the network did by itself. */
export class Disruptions {
  readonly kept: Disruption[] = [];
  /** Those that are not kept. */
  more = 0;
  #unplanned: Disruption | undefined;

  begin(what: string, freeAtMs: number): Disruption {
    const begun = new Disruption(what, freeAtMs);
    if (this.kept.length < MOST_KEPT) this.kept.push(begun);
    else this.more += 1;
    return begun;
  }

  /** Losses that nobody planned are one disruption, until all are back. */
  unplanned(nowMs: number): Disruption {
    if (this.#unplanned === undefined || this.#unplanned.over) {
      this.#unplanned = this.begin('lost by the hub or the network', nowMs);
    }
    return this.#unplanned;
  }
}
