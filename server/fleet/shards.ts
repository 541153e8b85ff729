import type { Clock } from '../runtime/clock.ts';
import type { Position } from '../store/fleet-store.ts';
import { StoreClock } from './store-clock.ts';

/** One shard of the store as this hub sees it. Its follower writes it; all others read it. */
export class Shard {
  readonly index: number;
  readonly #clock: Clock;
  /** The shard's clock against hub time. */
  readonly storeClock = new StoreClock();
  /** The store answers. */
  reachable = false;
  /** The position up to which its log was followed; undefined while data has to be loaded or restored first. */
  position: Position | undefined;
  /** A write failed since the shard was last followed. */
  writeFailed = false;
  #follow: () => void = () => {};

  constructor(index: number, clock: Clock) {
    this.index = index;
    this.#clock = clock;
  }

  /** It can be written to. */
  get usable(): boolean {
    return this.reachable && this.position !== undefined;
  }

  /** The store's time: milliseconds since the epoch. Without one, the hub's wall clock. */
  storeNow(): number {
    return this.storeClock.at(this.#clock.now()) ?? this.#clock.wall();
  }

  /**
   * A write failed, or found another data set: the shard is followed at once, which shows whether the store is there.
   */
  recheck(): void {
    this.writeFailed = true;
    this.#follow();
  }

  /** Sets what `recheck` calls. */
  onRecheck(follow: () => void): void {
    this.#follow = follow;
  }
}

/** The shards of the store as this hub sees them. */
export class Shards {
  readonly all: readonly Shard[];
  readonly #shardOf: (nodeId: string) => number;
  readonly #clock: Clock;
  #answeredAt: number;

  constructor(count: number, shardOf: (nodeId: string) => number, clock: Clock) {
    this.all = Array.from({ length: count }, (_, index) => new Shard(index, clock));
    this.#shardOf = shardOf;
    this.#clock = clock;
    this.#answeredAt = clock.now();
  }

  /** The shard at this index. */
  at(index: number): Shard {
    const shard = this.all[index];
    if (!shard) throw new RangeError(`there is no shard ${index}`);
    return shard;
  }

  /** The shard of a node. */
  of(nodeId: string): Shard {
    return this.at(this.#shardOf(nodeId));
  }

  /** The store's time, by its first shard: milliseconds since the epoch. */
  now(): number {
    return this.all[0]?.storeNow() ?? this.#clock.wall();
  }

  /** Whether any shard can be written to. */
  get someUsable(): boolean {
    return this.all.some((shard) => shard.usable);
  }

  /** Some shard answered. */
  answered(): void {
    this.#answeredAt = this.#clock.now();
  }

  /** Milliseconds since any shard answered. */
  unansweredMs(now: number): number {
    return Math.max(0, now - this.#answeredAt);
  }
}
