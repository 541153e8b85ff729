import type { Cancel, Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';

/**
 * Shards are restored one after the other: their sum is logged once none came for this time, or the first is this old.
 */
const QUIET_MS = 1_000;
const LATEST_MS = 10_000;

/** Logs in one line the number of restored nodes of all shards together. */
export class RestoredLog {
  readonly #clock: Clock;
  readonly #log: Log;
  /** By shard, the number of nodes and tombstones. */
  readonly #restored = new Map<number, number>();
  readonly #causes = new Set<string>();
  #cancel: Cancel | undefined;
  /** Hub time of the first that is not logged yet. */
  #since = 0;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Adds restored nodes of this shard. `why` is one of a few texts. */
  add(shard: number, count: number, why: string): void {
    const now = this.#clock.now();
    if (this.#restored.size === 0) this.#since = now;
    this.#restored.set(shard, (this.#restored.get(shard) ?? 0) + count);
    this.#causes.add(why);
    this.#cancel?.();
    this.#cancel = this.#clock.after(Math.min(QUIET_MS, this.#since + LATEST_MS - now), () => this.flush());
  }

  /** Logs the waiting sum. */
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
