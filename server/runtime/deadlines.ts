const SECOND_MS = 1_000;

/** What has a place among the deadlines keeps note of it, so that it can be taken out without a search. */
export interface Dated {
  /** Its place; belongs to `Deadlines`. */
  deadlineSecond: number;
}

/**
 * Many things, each to be looked at by a time of its own. They stand by the second, so that a sweep touches those whose
 * time has come and nobody else: with tens of thousands, looking at all of them each second costs more than their
 * heartbeats.
 */
export class Deadlines<T extends Dated> {
  readonly #bySecond = new Map<number, Set<T>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds it, or moves it: `at` in milliseconds since the epoch. */
  set(thing: T, at: number): void {
    this.delete(thing);
    const second = Math.ceil(at / SECOND_MS);
    const those = this.#bySecond.get(second);
    if (those) those.add(thing);
    else this.#bySecond.set(second, new Set([thing]));
    thing.deadlineSecond = second;
    this.#size += 1;
  }

  /** Takes it out, where it stands here. */
  delete(thing: T): void {
    const those = this.#bySecond.get(thing.deadlineSecond);
    if (!those?.delete(thing)) return;
    this.#size -= 1;
    if (those.size === 0) this.#bySecond.delete(thing.deadlineSecond);
  }

  /** Those whose time has come. They stay until they are moved or taken out. */
  *passed(now: number): IterableIterator<T> {
    for (const [second, those] of this.#bySecond) if (second * SECOND_MS <= now) yield* those;
  }

  *all(): IterableIterator<T> {
    for (const those of this.#bySecond.values()) yield* those;
  }
}
