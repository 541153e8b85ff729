import {
  type FleetEvent,
  type FleetNode,
  idSchema,
  nodeSchema,
  STATUSES,
  type Status,
} from '../../../shared/index.ts';

/*
 * Records and events were checked when they came in. Here only what would break a hub is looked at, because every hub
 * reads every event. What does not pass is read once more field by field, and the parts that are still true are kept.
 */

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isText = (value: unknown): value is string => typeof value === 'string';
const isTextIfAny = (value: unknown): boolean => value === undefined || isText(value);
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);
const statuses: ReadonlySet<unknown> = new Set<Status>(STATUSES);
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const isInstant = (value: unknown): boolean => isText(value) && INSTANT.test(value);
const isPositive = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) > 0;

const isTiming = (value: unknown): boolean =>
  isObject(value) && isPositive(value.intervalMs) && isPositive(value.timeoutMs);

const isConnection = (value: unknown): boolean =>
  value === null ||
  (isObject(value) &&
    isText(value.hubId) &&
    (value.transport === 'websocket' || value.transport === 'http') &&
    isText(value.remoteAddress) &&
    isInstant(value.since));

const isCondition = (value: unknown): boolean =>
  isObject(value) && isText(value.type) && isText(value.status) && isTextIfAny(value.message);

const isEvidence = (value: unknown): boolean =>
  isObject(value) &&
  isTextIfAny(value.hubId) &&
  isTextIfAny(value.detail) &&
  (value.lastHeartbeatAt === undefined || isInstant(value.lastHeartbeatAt));

/** Reasons that this version does not know pass: a newer hub wrote them. */
function isNode(value: Readonly<Record<string, unknown>>): boolean {
  return (
    isText(value.id) &&
    isPositive(value.seq) &&
    isText(value.hostname) &&
    statuses.has(value.status) &&
    isText(value.reason) &&
    isInstant(value.statusSince) &&
    isInstant(value.createdAt) &&
    isInstant(value.registeredAt) &&
    isObject(value.labels) &&
    Object.values(value.labels).every(isText) &&
    isTexts(value.roles) &&
    isTexts(value.pools) &&
    Array.isArray(value.conditions) &&
    value.conditions.every(isCondition) &&
    isEvidence(value.evidence) &&
    isTiming(value.heartbeat) &&
    isConnection(value.connection) &&
    isTextIfAny(value.machineId) &&
    isTextIfAny(value.kind) &&
    isTextIfAny(value.address) &&
    isTextIfAny(value.location)
  );
}

const isWhole = (value: unknown, id: string): value is FleetNode =>
  isObject(value) && value.id === id && isNode(value);

/** Of a node whose record does not say it. */
const USUAL_TIMING = { intervalMs: 10_000, timeoutMs: 30_000 };

/**
 * What is true of a node's record: all of it, or with what is usual in the place of fields that cannot be read; nothing
 * where it is no record of this node. `now`: an instant.
 */
export function readNode(
  value: unknown,
  id: string,
  now: string,
): { node: FleetNode; salvaged: boolean } | undefined {
  if (isWhole(value, id)) return { node: value, salvaged: false };
  if (!isObject(value) || value.id !== id || !isPositive(value.seq)) return undefined;
  const kept: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(nodeSchema.shape)) {
    const read = schema.safeParse(value[name]);
    if (read.success && read.data !== undefined) kept[name] = read.data;
  }
  // A newer hub may know more statuses: its nodes are live until they fall silent. Without any it is no record.
  if (kept.status === undefined && !isText(value.status)) return undefined;
  const known = [kept.registeredAt, kept.statusSince, kept.createdAt].find(isText) ?? now;
  const usual = {
    ...{ hostname: id, status: 'online', reason: 'store_restored', statusSince: known, conditions: [] },
    ...{ evidence: {}, heartbeat: USUAL_TIMING, connection: null, createdAt: known, registeredAt: known },
  };
  const node = nodeSchema.safeParse({ ...usual, ...kept });
  return node.success ? { node: node.data, salvaged: true } : undefined;
}

/** The event of a log entry about this node, likewise. */
export function readEvent(value: unknown, id: string): { event: FleetEvent; salvaged: boolean } | undefined {
  if (!isEventOf(value, id)) return undefined;
  const read = readNode(value.node, id, value.at);
  return read && { event: { ...value, node: read.node }, salvaged: read.salvaged };
}

const isStatusOrNull = (value: unknown): boolean => value === null || statuses.has(value);

function isEventOf(value: unknown, id: string): value is FleetEvent {
  return (
    isObject(value) &&
    value.nodeId === id &&
    isPositive(value.seq) &&
    isText(value.type) &&
    isInstant(value.at) &&
    isStatusOrNull(value.from) &&
    isStatusOrNull(value.to) &&
    isText(value.reason) &&
    isEvidence(value.evidence)
  );
}

/** Whether a node can have this id. */
export const isId = (value: unknown): value is string => idSchema.safeParse(value).success;

/** A version as it is stored; nothing where it is none. */
export function readVersion(text: unknown): number | undefined {
  if (!isText(text) || !/^[1-9]\d{0,15}$/.test(text)) return undefined;
  const version = Number(text);
  return Number.isSafeInteger(version) ? version : undefined;
}

export function parsedJson(text: unknown): unknown {
  if (!isText(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
