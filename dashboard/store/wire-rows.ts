import {
  type DashboardEvent,
  eventTypeSchema,
  type NodeSummary,
  reasonSchema,
  STATUSES,
} from '../../shared/index.ts';

/** A node as the page lists it. */
export type Row = NodeSummary;
/** A change as the page gets it. */
export type RowEvent = Omit<DashboardEvent, 'node'> & { node: Row };

const statuses: ReadonlySet<unknown> = new Set(STATUSES);
const reasons: ReadonlySet<unknown> = new Set(reasonSchema.options);
const types: ReadonlySet<unknown> = new Set(eventTypeSchema.options);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === 'string';
const isTextOrAbsent = (value: unknown): boolean => value === undefined || isText(value);

function hasOnlyTexts(labels: Record<string, unknown>): boolean {
  for (const key in labels) if (!isText(labels[key])) return false;
  return true;
}

/**
 * Whether a value from the wire is a row. By hand, because a fleet of fifty thousand comes at once: a schema
 * takes half a second for what this does in a few milliseconds.
 */
export function isRow(value: unknown): value is Row {
  return (
    isObject(value) &&
    isText(value.id) &&
    typeof value.seq === 'number' &&
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

/** Whether a value from the wire is a change of one node. */
export function isRowEvent(value: unknown): value is RowEvent {
  return (
    isObject(value) &&
    typeof value.seq === 'number' &&
    types.has(value.type) &&
    isText(value.nodeId) &&
    isText(value.at) &&
    (value.from === null || statuses.has(value.from)) &&
    (value.to === null || statuses.has(value.to)) &&
    reasons.has(value.reason) &&
    isObject(value.evidence) &&
    (value.left === undefined || value.left === true) &&
    isRow(value.node)
  );
}

/** The rows of a snapshot's page, or undefined where it cannot be read. */
export function readRows(value: unknown): Row[] | undefined {
  return Array.isArray(value) && value.every(isRow) ? value : undefined;
}

/** A batch of changes, or undefined where it cannot be read. */
export function readChanges(value: unknown): { cursor: string; events: RowEvent[] } | undefined {
  if (!isObject(value) || !isText(value.cursor)) return undefined;
  const { cursor, events } = value;
  return Array.isArray(events) && events.every(isRowEvent) ? { cursor, events } : undefined;
}

/** A page of a snapshot: its rows, or its gzip, and how many rows come after it. */
export type SnapshotPage =
  | { gzip: Uint8Array<ArrayBuffer>; remaining: number }
  | { rows: Row[]; remaining: number };

/** Reads a page's envelope; undefined where it cannot be read. */
export function readPage(value: unknown): SnapshotPage | undefined {
  if (!isObject(value) || typeof value.remaining !== 'number') return undefined;
  const { remaining, gzip } = value;
  const bytes = bytesOf(gzip);
  if (bytes) return { gzip: bytes, remaining };
  const rows = readRows(value.nodes);
  return rows && { rows, remaining };
}

function bytesOf(value: unknown): Uint8Array<ArrayBuffer> | undefined {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return value instanceof Uint8Array ? new Uint8Array(value) : undefined;
}
