const SECOND_MS = 1_000;

/** An item stores its place among the deadlines, so that it can be removed without a search. */
export interface Dated {
  /** Its place; belongs to `Deadlines`. */
  deadlineSecond: number;
}

/**
 * A set of items, each with its own deadline. Items are grouped by second, so that a sweep touches expired items only:
 * with tens of thousands, a scan of all items each second costs more than their heartbeats.
 */
export class Deadlines<T extends Dated> {
  readonly #bySecond = new Map<number, Set<T>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds or moves an item: `at` in milliseconds since the epoch. */
  set(thing: T, at: number): void {
    this.delete(thing);
    const second = Math.ceil(at / SECOND_MS);
    const those = this.#bySecond.get(second);
    if (those) those.add(thing);
    else this.#bySecond.set(second, new Set([thing]));
    thing.deadlineSecond = second;
    this.#size += 1;
  }

  /** Removes an item, if present. */
  delete(thing: T): void {
    const those = this.#bySecond.get(thing.deadlineSecond);
    if (!those?.delete(thing)) return;
    this.#size -= 1;
    if (those.size === 0) this.#bySecond.delete(thing.deadlineSecond);
  }

  /** The items whose deadline has passed. They stay until they are moved or removed. */
  *passed(now: number): IterableIterator<T> {
    for (const [second, those] of this.#bySecond) if (second * SECOND_MS <= now) yield* those;
  }

  *all(): IterableIterator<T> {
    for (const those of this.#bySecond.values()) yield* those;
  }
}
