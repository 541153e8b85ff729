import type { Disruption } from './disruptions.ts';
import type { Tally } from './tally.ts';

/** The time between two sessions of one agent, and what is to blame for it. */
export class Absence {
  #freeAtMs: number | undefined;
  #disruption: Disruption | undefined;

  /** It is off the hub, and free to return from `freeAtMs` on. What it was hit by before is overtaken. */
  begin(nowMs: number, freeAtMs: number, disruption: Disruption | undefined): void {
    this.#disruption?.overtaken(nowMs);
    this.#disruption = disruption;
    this.#freeAtMs = freeAtMs;
    disruption?.lost();
  }

  /** It is registered again, or for the first time. */
  end(nowMs: number, tally: Tally): void {
    if (this.#freeAtMs === undefined) return;
    tally.reconnects += 1;
    tally.returning.record(Math.max(0, nowMs - this.#freeAtMs));
    this.#disruption?.back(nowMs);
    this.#disruption = undefined;
    this.#freeAtMs = undefined;
  }
}
