import type { FleetNode } from '../../shared/index.ts';
import type { Cancel, Clock } from '../runtime/clock.ts';
import type { Slices } from '../runtime/slices.ts';
import { NodeIndex, type PageRequest } from './node-index.ts';

/** How long an unused index is kept. */
export const LISTS_IDLE_MS = 5 * 60_000;

/** Steps between two reads of the clock. */
const STEPS_PER_CHECK = 128;

/** The nodes to index, as of the call. */
export interface Listed {
  ids(): Iterable<string>;
  get(id: string): { node: FleetNode } | undefined;
}

/**
 * The index for lists, kept only while lists are requested: it costs as much memory as a small record, and a hub whose
 * API is not used pays nothing. The first request waits until it is filled, slice by slice.
 */
export class NodeLists {
  readonly #listed: Listed;
  readonly #clock: Clock;
  readonly #slices: Slices;
  #index: NodeIndex | undefined;
  /** The current work: filling the index, or building an order. One after the other. */
  #filling: Promise<unknown> = Promise.resolve();
  #filled = false;
  #askedAt = 0;
  #cancelCheck: Cancel | undefined;

  constructor(listed: Listed, clock: Clock, slices: Slices) {
    this.#listed = listed;
    this.#clock = clock;
    this.#slices = slices;
  }

  /** Whether an index is kept now. */
  get kept(): boolean {
    return this.#index !== undefined;
  }

  put(node: FleetNode): void {
    this.#index?.put(node);
  }

  delete(id: string): void {
    this.#index?.delete(id);
  }

  /** The index, complete, and ready for the pages of a request. */
  async open(request?: Pick<PageRequest, 'sort' | 'filter'>): Promise<NodeIndex> {
    this.#keep();
    this.#index ??= new NodeIndex();
    const index = this.#index;
    const filling = this.#filling.then(async () => {
      if (!this.#filled) await inSlices(this.#fill(index), this.#slices);
      this.#filled = this.#index === index;
      if (request) await inSlices(index.preparing(request), this.#slices);
    });
    this.#filling = filling.catch(() => {});
    await filling;
    return index;
  }

  /** Drops the index; the next list builds another. */
  drop(): void {
    this.#cancelCheck?.();
    this.#cancelCheck = undefined;
    this.#index = undefined;
    this.#filled = false;
  }

  *#fill(index: NodeIndex): Generator<void, void> {
    for (const id of [...this.#listed.ids()]) {
      const record = this.#listed.get(id);
      if (record) index.put(record.node);
      yield;
    }
  }

  #keep(): void {
    this.#askedAt = this.#clock.now();
    this.#cancelCheck ??= this.#clock.after(LISTS_IDLE_MS, () => this.#dropIfIdle());
  }

  #dropIfIdle(): void {
    const rest = this.#askedAt + LISTS_IDLE_MS - this.#clock.now();
    if (rest <= 0) this.drop();
    else this.#cancelCheck = this.#clock.after(rest, () => this.#dropIfIdle());
  }
}

/** Runs small steps for a reader, in slices; returns their result. */
export async function inSlices<T>(steps: Iterator<void, T>, slices: Slices): Promise<T> {
  for (let done = 1; ; done += 1) {
    const step = steps.next();
    if (step.done) return step.value;
    if (done % STEPS_PER_CHECK === 0 && slices.over()) await slices.forReader();
  }
}
