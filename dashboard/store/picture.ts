import type { Status } from '../../shared/index.ts';
import { FacetCounts } from './facets.ts';
import type { Row, RowEvent } from './wire-rows.ts';

/** What one change did to the list of nodes. */
export interface RowChange {
  before: Row | undefined;
  after: Row | undefined;
}

export type Applied =
  | { kind: 'applied'; change: RowChange }
  /** Its version is not above the known one: it came twice. */
  | { kind: 'known' }
  /** A version never came: something was missed, and only a new picture helps. */
  | { kind: 'hole' };

/** Nodes that went, whose version is remembered so that what comes twice is known. */
const GONE_NODES = 10_000;

/**
 * The fleet as it is known, kept by the rules of the protocol: a picture, then every event by `seq`. Figures
 * over the whole fleet are kept with each change, so that one change costs the same in a fleet of any size.
 */
export class Picture {
  readonly counts: Record<Status, number> = { online: 0, degraded: 0, unreachable: 0, offline: 0 };
  readonly facets = new FacetCounts();
  readonly #nodes = new Map<string, Row>();
  readonly #gone = new Map<string, number>();
  /** Whether everything is shown: only then does a hole in the versions mean that something was missed. */
  readonly #unfiltered: boolean;

  constructor(unfiltered: boolean) {
    this.#unfiltered = unfiltered;
  }

  get nodes(): ReadonlyMap<string, Row> {
    return this.#nodes;
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** Takes a row of a snapshot. */
  load(row: Row): void {
    this.#replace(row.id, row);
  }

  apply(event: RowEvent): Applied {
    const { nodeId, seq } = event;
    const known = this.#nodes.get(nodeId)?.seq ?? this.#gone.get(nodeId);
    if (known !== undefined && seq <= known) return { kind: 'known' };
    if (this.#unfiltered && isHole(event, known)) return { kind: 'hole' };
    if (event.type === 'removed' || event.left) {
      const before = this.#replace(nodeId, undefined);
      this.#remember(nodeId, seq);
      return { kind: 'applied', change: { before, after: undefined } };
    }
    const before = this.#replace(nodeId, event.node);
    this.#gone.delete(nodeId);
    return { kind: 'applied', change: { before, after: event.node } };
  }

  #replace(id: string, after: Row | undefined): Row | undefined {
    const before = this.#nodes.get(id);
    if (before) {
      this.counts[before.status] -= 1;
      this.facets.add(before, -1);
    }
    if (after) {
      this.counts[after.status] += 1;
      this.facets.add(after, 1);
      this.#nodes.set(id, after);
    } else {
      this.#nodes.delete(id);
    }
    return before;
  }

  #remember(id: string, seq: number): void {
    this.#gone.delete(id);
    this.#gone.set(id, seq);
    const [oldest] = this.#gone.keys();
    if (this.#gone.size > GONE_NODES && oldest !== undefined) this.#gone.delete(oldest);
  }
}

/** What the store lost and got back may begin anywhere, and so does a node that was removed long ago. */
function isHole(event: RowEvent, known: number | undefined): boolean {
  if (event.reason === 'store_restored') return false;
  if (known === undefined) return event.type !== 'registered';
  return event.seq !== known + 1;
}
