import { isHole, type NodeSummary } from '../shared/index.ts';
import type { ChangeEvent } from './messages.ts';

/** A version that never came: something of this node was missed. */
export interface Hole {
  nodeId: string;
  /** The version before; undefined where the node was not known. */
  known: number | undefined;
  got: number;
}

/** What one change did to the picture. */
export type Applied<N extends NodeSummary> =
  | { kind: 'applied'; before: N | undefined; after: N | undefined }
  /** Its version is not above the known one: it came twice. */
  | { kind: 'known' }
  /** A version is missing: the picture stays as it is, and only a new one helps. */
  | { kind: 'hole'; hole: Hole };

/** The last change of a node that is gone. */
type Gone = Pick<ChangeEvent<NodeSummary>, 'seq' | 'at'>;

/** Nodes that went, whose version is remembered so that a change that comes twice is known. */
const GONE_NODES = 10_000;

/** The fleet by the rules of the protocol: a snapshot, then every change of a node by its `seq`. */
export class Picture<N extends NodeSummary> {
  readonly #nodes = new Map<string, N>();
  readonly #gone = new Map<string, Gone>();
  readonly #unfiltered: boolean;

  /** `unfiltered`: everything is shown. Only then does a hole in the versions mean that something was missed. */
  constructor(unfiltered: boolean) {
    this.#unfiltered = unfiltered;
  }

  /** The nodes by id. */
  get nodes(): ReadonlyMap<string, N> {
    return this.#nodes;
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** Takes a node of a snapshot. */
  load(node: N): void {
    this.#nodes.set(node.id, node);
  }

  apply(event: ChangeEvent<N>): Applied<N> {
    const { nodeId, seq, node } = event;
    const before = this.#nodes.get(nodeId);
    const gone = this.#gone.get(nodeId);
    const known = before?.seq ?? (gone && !beginsAnew(event, gone) ? gone.seq : undefined);
    if (known !== undefined && seq <= known) return { kind: 'known' };
    if (this.#unfiltered && isHole(event, known)) return { kind: 'hole', hole: { nodeId, known, got: seq } };
    if (event.type === 'removed' || event.left) {
      this.#nodes.delete(nodeId);
      this.#remember(nodeId, event);
      return { kind: 'applied', before, after: undefined };
    }
    this.#nodes.set(nodeId, node);
    this.#gone.delete(nodeId);
    return { kind: 'applied', before, after: node };
  }

  #remember(id: string, { seq, at }: Gone): void {
    this.#gone.delete(id);
    this.#gone.set(id, { seq, at });
    const [oldest] = this.#gone.keys();
    if (this.#gone.size > GONE_NODES && oldest !== undefined) this.#gone.delete(oldest);
  }
}

/** A node was removed so long ago that the store has forgotten it: its versions begin at 1 again. */
const beginsAnew = ({ type, seq, at }: ChangeEvent<NodeSummary>, gone: Gone): boolean =>
  type === 'registered' && seq <= gone.seq && at > gone.at;

/** What a picture shows otherwise than the one before it. */
export interface Difference<N extends NodeSummary> {
  id: string;
  before: N | undefined;
  after: N | undefined;
}

/** The nodes that two pictures show differently: all that is known of what happened between them. */
export function differencesBetween<N extends NodeSummary>(
  before: Picture<N>,
  after: Picture<N>,
): Difference<N>[] {
  const differences: Difference<N>[] = [];
  for (const [id, node] of before.nodes) {
    const now = after.nodes.get(id);
    if (now?.seq !== node.seq || now.status !== node.status)
      differences.push({ id, before: node, after: now });
  }
  for (const [id, node] of after.nodes)
    if (!before.nodes.has(id)) differences.push({ id, before: undefined, after: node });
  return differences;
}
