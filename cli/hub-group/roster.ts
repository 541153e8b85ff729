import type { GroupStatus } from '../../server/edge/worker-group.ts';

/** Who of a group is there: each worker from when it listens to its end, and whether it is ready. */
export class Roster {
  readonly #wanted: number;
  readonly #ready = new Map<number, boolean>();
  /** All were ready at once since the group began. */
  #complete = false;

  constructor(wanted: number) {
    this.#wanted = wanted;
  }

  listens(worker: number, ready: boolean): void {
    this.#ready.set(worker, ready);
    this.#complete ||= this.status.ready === this.#wanted;
  }

  /** Of a worker that listens; of any other it says nothing. */
  isReady(worker: number, ready: boolean): void {
    if (this.#ready.has(worker)) this.listens(worker, ready);
  }

  gone(worker: number): void {
    this.#ready.delete(worker);
  }

  /**
   * Open to new clients while each worker that may get one can serve it: each worker that listens is ready. At first only
   * once all are, so that half a group does not take a whole storm; later a worker that died takes no connections
   * until it listens again, so the others go on without it.
   */
  get status(): GroupStatus {
    const running = this.#ready.size;
    const ready = [...this.#ready.values()].filter(Boolean).length;
    return { wanted: this.#wanted, running, ready, open: this.#complete && running > 0 && ready === running };
  }
}
