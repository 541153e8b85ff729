import { ChangeNames } from '../change-names.ts';
import type { Change } from '../fleet-store.ts';

/** Changes that may wait to be read back from the log; of those beyond, the oldest are read like anybody's. */
const MOST_CHANGES = 20_000;

/**
 * The changes that this hub wrote and has not yet read in the log. A hub reads its own changes there like all others,
 * in their order; what they say it is not sent again, and need not parse, which in a storm is a tenth of its work.
 */
export class OwnChanges {
  /** They are known among all by what their names begin with. */
  readonly names = new ChangeNames();
  readonly #changes = new Map<string, Change>();

  /** It goes to the store now. */
  remember(change: Change): void {
    this.#changes.set(change.record.changeId, change);
    if (this.#changes.size <= MOST_CHANGES) return;
    const [oldest] = this.#changes.keys();
    if (oldest !== undefined) this.#changes.delete(oldest);
  }

  /** It was not written. */
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
