import type { FleetEvent } from '../../shared/index.ts';
import type { FleetView } from '../picture/fleet-view.ts';
import type { FleetStore } from '../store/fleet-store.ts';

/** The number of nodes: those of the view, or on a hub without one the store's count plus the changes in the log. */
export class NodeCount {
  readonly #view: FleetView;
  readonly #store: FleetStore;
  #counted = 0;

  constructor(view: FleetView, store: FleetStore) {
    this.#view = view;
    this.#store = store;
  }

  get value(): number {
    return this.#view.keepsRecords ? this.#view.size : this.#counted;
  }

  followed({ type }: FleetEvent): void {
    if (type === 'registered') this.#counted += 1;
    else if (type === 'removed') this.#counted -= 1;
  }

  /**
   * Asks the store, if there is no view: nodes that were restored into it have no event of their own. Throws
   * `StoreAwayError`.
   */
  async recount(): Promise<void> {
    if (!this.#view.keepsRecords) this.#counted = await this.#store.nodeCount();
  }
}
