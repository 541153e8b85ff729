import {
  CLIENT_LIMITS,
  type DashboardEvent,
  type Evidence,
  eventTypeSchema,
  type FleetNode,
  type NodeSummary,
  nodeSchema,
  reasonSchema,
  STATUSES,
} from '../shared/index.ts';
import { gunzipText } from './gunzip.ts';

/** How much of each node is asked for, and how that is read: `WHOLE_NODES` or `SUMMARIES`. */
export interface NodeForm<N extends NodeSummary> {
  readonly fields: 'full' | 'summary';
  /** The node that a value from the wire is; undefined where it is none. */
  read(value: unknown): N | undefined;
}

/** Every field of a node. */
export const WHOLE_NODES: NodeForm<FleetNode> = {
  fields: 'full',
  read: (value) => nodeSchema.safeParse(value).data,
};

/** What a list shows: name, place, labels and status. A tenth of the bytes. */
export const SUMMARIES: NodeForm<NodeSummary> = {
  fields: 'summary',
  read: (value) => (isSummary(value) ? value : undefined),
};

/** One change of one node: `node` is what it is after it, for `removed` before it. `left`: it no longer matches the filter. */
export type ChangeEvent<N extends NodeSummary> = Omit<DashboardEvent, 'node'> & { node: N };

/** A batch of changes, and the cursor once they are applied. */
export interface ChangeBatch<N extends NodeSummary> {
  cursor: string;
  events: ChangeEvent<N>[];
}

/** A page of a snapshot, and how many nodes come after it. */
export interface SnapshotPage<N extends NodeSummary> {
  nodes: N[];
  remaining: number;
  unpackedBytes: number;
}

/** Reads a batch of changes; undefined where it is none. */
export function readChanges<N extends NodeSummary>(
  value: unknown,
  form: NodeForm<N>,
): ChangeBatch<N> | undefined {
  if (!isObject(value) || !isText(value.cursor) || !Array.isArray(value.events)) return undefined;
  const events: ChangeEvent<N>[] = [];
  for (const one of value.events) {
    const event = readEvent(one, form);
    if (!event) return undefined;
    events.push(event);
  }
  return { cursor: value.cursor, events };
}

/** Reads a page of a snapshot: at once, or with gzip once it is unpacked. Undefined where it is none. */
export function readPage<N extends NodeSummary>(
  value: unknown,
  form: NodeForm<N>,
  gzip: boolean,
): SnapshotPage<N> | undefined | Promise<SnapshotPage<N> | undefined> {
  if (!isObject(value) || !isCount(value.remaining)) return undefined;
  const { remaining } = value;
  const zipped = gzip ? bytesOf(value.gzip) : undefined;
  if (zipped) return unpack(zipped, remaining, form);
  const nodes = readNodes(value.nodes, form);
  return nodes && { nodes, remaining, unpackedBytes: 0 };
}

async function unpack<N extends NodeSummary>(
  zipped: Uint8Array<ArrayBuffer>,
  remaining: number,
  form: NodeForm<N>,
): Promise<SnapshotPage<N> | undefined> {
  try {
    const text = await gunzipText(zipped, CLIENT_LIMITS.messageBytes);
    const nodes = readNodes(JSON.parse(text), form);
    return nodes && { nodes, remaining, unpackedBytes: text.length };
  } catch {
    return undefined;
  }
}

function readNodes<N extends NodeSummary>(value: unknown, form: NodeForm<N>): N[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const nodes: N[] = [];
  for (const one of value) {
    const node = form.read(one);
    if (!node) return undefined;
    nodes.push(node);
  }
  return nodes;
}

function readEvent<N extends NodeSummary>(value: unknown, form: NodeForm<N>): ChangeEvent<N> | undefined {
  if (!isChange(value)) return undefined;
  const node = form.read(value.node);
  return node && { ...value, node };
}

/*
 * What follows is read by hand: a fleet of fifty thousand comes at once, and a schema takes half a second for what this
 * does in a few milliseconds.
 */

const statuses: ReadonlySet<unknown> = new Set(STATUSES);
const reasons: ReadonlySet<unknown> = new Set(reasonSchema.options);
const types: ReadonlySet<unknown> = new Set(eventTypeSchema.options);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === 'string';
const isTextOrAbsent = (value: unknown): boolean => value === undefined || isText(value);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
const isVersion = (value: unknown): value is number => isCount(value) && value > 0;

function isSummary(value: unknown): value is NodeSummary {
  return (
    isObject(value) &&
    isText(value.id) &&
    isVersion(value.seq) &&
    isText(value.hostname) &&
    isTextOrAbsent(value.kind) &&
    isTextOrAbsent(value.location) &&
    isTextOrAbsent(value.address) &&
    isTextOrAbsent(value.hubId) &&
    statuses.has(value.status) &&
    reasons.has(value.reason) &&
    isText(value.statusSince) &&
    isObject(value.labels) &&
    hasOnlyTexts(value.labels) &&
    Array.isArray(value.pools) &&
    value.pools.every(isText)
  );
}

function hasOnlyTexts(labels: Record<string, unknown>): boolean {
  for (const key in labels) if (!isText(labels[key])) return false;
  return true;
}

function isChange(value: unknown): value is Omit<DashboardEvent, 'node'> & { node: unknown } {
  return (
    isObject(value) &&
    isVersion(value.seq) &&
    types.has(value.type) &&
    isText(value.nodeId) &&
    isText(value.at) &&
    (value.from === null || statuses.has(value.from)) &&
    (value.to === null || statuses.has(value.to)) &&
    reasons.has(value.reason) &&
    isEvidence(value.evidence) &&
    (value.left === undefined || value.left === true)
  );
}

function isEvidence(value: unknown): value is Evidence {
  return (
    isObject(value) &&
    isTextOrAbsent(value.lastHeartbeatAt) &&
    isTextOrAbsent(value.hubId) &&
    (value.closeCode === undefined || isCount(value.closeCode)) &&
    isTextOrAbsent(value.detail) &&
    isTextOrAbsent(value.by)
  );
}

function bytesOf(value: unknown): Uint8Array<ArrayBuffer> | undefined {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return value instanceof Uint8Array ? new Uint8Array(value) : undefined;
}
