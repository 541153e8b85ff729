import type { Cancel, Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';

/** Shards are put back one after the other: their sum is said when none came for so long, or the first is so old. */
const QUIET_MS = 1_000;
const LATEST_MS = 10_000;

/** Says in one line what was put back of all shards together. */
export class RestoredLog {
  readonly #clock: Clock;
  readonly #log: Log;
  /** By shard, how many nodes and tombstones. */
  readonly #restored = new Map<number, number>();
  readonly #causes = new Set<string>();
  #cancel: Cancel | undefined;
  /** Hub time of the first that is not said yet. */
  #since = 0;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** So many of this shard were put back. `why` is one of a few texts. */
  add(shard: number, count: number, why: string): void {
    const now = this.#clock.now();
    if (this.#restored.size === 0) this.#since = now;
    this.#restored.set(shard, (this.#restored.get(shard) ?? 0) + count);
    this.#causes.add(why);
    this.#cancel?.();
    this.#cancel = this.#clock.after(Math.min(QUIET_MS, this.#since + LATEST_MS - now), () => this.flush());
  }

  /** Says what waits to be said. */
  flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#restored.size === 0) return;
    const restored = [...this.#restored.values()].reduce((sum, count) => sum + count, 0);
    const why = [...this.#causes].join(', ');
    this.#log.warn({ restored, shards: this.#restored.size, why }, 'Put back what the store had lost');
    this.#restored.clear();
    this.#causes.clear();
  }
}
