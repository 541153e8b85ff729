import type { DashboardEvent, FleetNode, NodeSummary } from '../../shared/index.ts';

/** A node as the subscription asked for it. */
export type ShownNode = FleetNode | NodeSummary;

/** What a fresh picture shows otherwise than the one before it. */
export interface Difference {
  id: string;
  before: ShownNode | undefined;
  after: ShownNode | undefined;
}

/** A version that never came: something of this node was missed. */
export interface Hole {
  nodeId: string;
  /** The version before; undefined where the node was not known. */
  known: number | undefined;
  got: number;
}

export type Applied =
  | { kind: 'applied'; before: ShownNode | undefined; hole: Hole | undefined }
  /** Its version is not above the known one: it came twice. */
  | { kind: 'known' };

/** Nodes that went, whose version is remembered so that what comes twice is known. */
const GONE_NODES = 10_000;

/** The fleet as a dashboard knows it, kept by the rules of the protocol: a picture, then every event by `seq`. */
export class Projection {
  /** Whether everything is shown: only then does a hole in the versions mean that something was missed. */
  readonly #unfiltered: boolean;
  #nodes = new Map<string, ShownNode>();
  readonly #gone = new Map<string, number>();

  constructor(unfiltered: boolean) {
    this.#unfiltered = unfiltered;
  }

  get nodes(): ReadonlyMap<string, ShownNode> {
    return this.#nodes;
  }

  /** Puts a whole picture in the place of what was known, and returns what differs. */
  replace(nodes: Map<string, ShownNode>): Difference[] {
    const older = this.#nodes;
    this.#nodes = nodes;
    this.#gone.clear();
    const differences: Difference[] = [];
    for (const [id, before] of older) {
      const after = nodes.get(id);
      if (after?.seq !== before.seq || after.status !== before.status)
        differences.push({ id, before, after });
    }
    for (const [id, after] of nodes) {
      if (!older.has(id)) differences.push({ id, before: undefined, after });
    }
    return differences;
  }

  apply(event: DashboardEvent): Applied {
    const { nodeId, seq } = event;
    const before = this.#nodes.get(nodeId);
    const known = before?.seq ?? this.#gone.get(nodeId);
    if (known !== undefined && seq <= known) return { kind: 'known' };
    const hole = this.#unfiltered && isHole(event, known) ? { nodeId, known, got: seq } : undefined;
    if (event.type === 'removed' || event.left) this.#remove(nodeId, seq);
    else {
      this.#nodes.set(nodeId, event.node);
      this.#gone.delete(nodeId);
    }
    return { kind: 'applied', before, hole };
  }

  #remove(id: string, seq: number): void {
    this.#nodes.delete(id);
    this.#gone.delete(id);
    this.#gone.set(id, seq);
    const [oldest] = this.#gone.keys();
    if (this.#gone.size > GONE_NODES && oldest !== undefined) this.#gone.delete(oldest);
  }
}

/** What the store lost and got back may begin anywhere, and so does a node that was removed long ago. */
function isHole(event: DashboardEvent, known: number | undefined): boolean {
  if (event.reason === 'store_restored') return false;
  if (known === undefined) return event.type !== 'registered';
  return event.seq !== known + 1;
}
