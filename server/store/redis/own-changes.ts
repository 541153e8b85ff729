import { ChangeNames } from '../change-names.ts';
import type { Change } from '../fleet-store.ts';

/** The most changes that wait to be read from the log; the oldest beyond it are read like those of other hubs. */
const MOST_CHANGES = 20_000;

/**
 * The changes that this hub wrote and has not yet read in the log. A hub reads its own changes there like all others,
 * in order; but Redis sends only their names, and the hub need not parse these records again, a substantial part of its
 * work in a storm.
 */
export class OwnChanges {
  /** The common beginning of the names marks them. */
  readonly names = new ChangeNames();
  readonly #changes = new Map<string, Change>();

  /** The change is about to be sent to the store. */
  remember(change: Change): void {
    this.#changes.set(change.record.changeId, change);
    if (this.#changes.size <= MOST_CHANGES) return;
    const [oldest] = this.#changes.keys();
    if (oldest !== undefined) this.#changes.delete(oldest);
  }

  /** The change was not written. */
  forget({ record }: Change): void {
    this.#changes.delete(record.changeId);
  }

  /** The change of this name, once. */
  take(changeId: string): Change | undefined {
    const change = this.#changes.get(changeId);
    if (change) this.#changes.delete(changeId);
    return change;
  }
}
