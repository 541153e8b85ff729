import {
  conditionSchema,
  eventTypeSchema,
  type FleetEvent,
  type FleetNode,
  type HeartbeatTiming,
  idSchema,
  LIMITS,
  nodeSchema,
  proofSchema,
  type Reason,
  reasonSchema,
  STATUSES,
  type Status,
  TIMEOUT_INTERVALS,
} from '../../../shared/index.ts';

/**
 * Records and events were validated at the edge. Here only the fields that could break a hub are checked, because every
 * hub reads every event. An invalid record is read again field by field, and its valid parts are kept.
 */

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isText = (value: unknown): value is string => typeof value === 'string';
const isTextIfAny = (value: unknown): boolean => value === undefined || isText(value);
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);
const statuses: ReadonlySet<unknown> = new Set<Status>(STATUSES);
const INSTANT = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;
const isInstant = (value: unknown): boolean => isText(value) && INSTANT.test(value);
const isPositive = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) > 0;

/** As it may be registered: a node with a longer timeout would never be called silent. */
const isDuration = (value: unknown): value is number =>
  isPositive(value) && Number(value) <= LIMITS.longestTimeoutMs;

export const isTiming = (value: unknown): value is HeartbeatTiming =>
  isObject(value) && isDuration(value.intervalMs) && isDuration(value.timeoutMs);

const isConnection = (value: unknown): boolean =>
  value === null ||
  (isObject(value) &&
    isText(value.hubId) &&
    (value.transport === 'websocket' || value.transport === 'http') &&
    isText(value.remoteAddress) &&
    isInstant(value.since));

const isObjectIfAny = (value: unknown): boolean => value === undefined || isObject(value);
const conditionStatuses: ReadonlySet<unknown> = new Set(conditionSchema.shape.status.options);

const isCondition = (value: unknown): boolean =>
  isObject(value) && isText(value.type) && conditionStatuses.has(value.status) && isTextIfAny(value.message);

const isAgentIfAny = (value: unknown): boolean =>
  value === undefined || (isObject(value) && isText(value.name) && isText(value.version));

const proofs: ReadonlySet<unknown> = new Set(proofSchema.options);
const isTrustIfAny = (value: unknown): boolean =>
  value === undefined || (isObject(value) && proofs.has(value.by));

const isEvidence = (value: unknown): boolean =>
  isObject(value) &&
  isTextIfAny(value.hubId) &&
  isTextIfAny(value.detail) &&
  isTextIfAny(value.by) &&
  (value.closeCode === undefined || Number.isSafeInteger(value.closeCode)) &&
  (value.lastHeartbeatAt === undefined || isInstant(value.lastHeartbeatAt));

const reasons: ReadonlySet<unknown> = new Set(reasonSchema.options);
const types: ReadonlySet<unknown> = new Set(eventTypeSchema.options);

function isNode(value: Readonly<Record<string, unknown>>): boolean {
  return (
    isText(value.id) &&
    isPositive(value.seq) &&
    isText(value.hostname) &&
    statuses.has(value.status) &&
    reasons.has(value.reason) &&
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
    isTextIfAny(value.location) &&
    isAgentIfAny(value.agent) &&
    isTrustIfAny(value.trust) &&
    isObjectIfAny(value.cpu) &&
    isObjectIfAny(value.memory) &&
    isObjectIfAny(value.capacity) &&
    isObjectIfAny(value.metadata)
  );
}

const isWhole = (value: unknown, id: string): value is FleetNode =>
  isObject(value) && value.id === id && isNode(value);

const TRUSTED = { by: 'token' };
/** For an invalid reason, or one of a newer hub: clients know the reasons of one version. */
const UNKNOWN: Reason = 'unknown';

/** For a node whose record has none. */
const USUAL_TIMING = { intervalMs: 10_000, timeoutMs: 30_000 };

/** The timing with what is usual for the part that cannot be: its node is not to be called silent between two heartbeats. */
function readTiming(value: unknown): HeartbeatTiming {
  if (isTiming(value)) return value;
  if (!isObject(value) || !isDuration(value.intervalMs)) return USUAL_TIMING;
  const timeoutMs = Math.max(USUAL_TIMING.timeoutMs, TIMEOUT_INTERVALS * value.intervalMs);
  return { intervalMs: value.intervalMs, timeoutMs: Math.min(timeoutMs, LIMITS.longestTimeoutMs) };
}

/**
 * The valid content of a node's record: all, or with defaults in the place of unreadable fields; undefined if it is no
 * record of this node. `now`: an instant.
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
  kept.heartbeat = readTiming(value.heartbeat);
  // One that cannot be read does not clear the others.
  if (Array.isArray(value.conditions)) kept.conditions ??= value.conditions.filter(isCondition);
  // The proof of its agent is unreadable, or of a newer hub: it counts at least as a token's.
  if (value.trust !== undefined) kept.trust ??= TRUSTED;
  // A newer hub may know more statuses: its nodes are live until they fall silent. Without a status it is no record.
  if (kept.status === undefined && !isText(value.status)) return undefined;
  const known = [kept.registeredAt, kept.statusSince, kept.createdAt].find(isText) ?? now;
  const usual = {
    ...{ hostname: id, status: 'online', reason: UNKNOWN, statusSince: known, conditions: [] },
    ...{ evidence: {}, connection: null, createdAt: known, registeredAt: known },
  };
  const node = nodeSchema.safeParse({ ...usual, ...kept });
  return node.success ? { node: node.data, salvaged: true } : undefined;
}

/** The event of a log entry about this node, likewise. */
export function readEvent(value: unknown, id: string): { event: FleetEvent; salvaged: boolean } | undefined {
  if (!isEventOf(value, id)) return undefined;
  // For a removal, the node before it.
  const { node, seq } = value;
  const isSame = value.to === null || node.seq === seq;
  const read = readNode(isSame ? node : { ...node, seq }, id, value.at);
  if (!read) return undefined;
  const event = { ...value, node: read.node };
  const hasType = types.has(value.type);
  const hasReason = reasons.has(value.reason);
  const hasEvidence = isEvidence(value.evidence);
  if (hasType && hasReason && hasEvidence) return { event, salvaged: read.salvaged };
  const type = hasType ? value.type : 'updated';
  const reason = hasReason ? value.reason : UNKNOWN;
  const evidence = hasEvidence ? value.evidence : {};
  return { event: { ...event, type, reason, evidence }, salvaged: true };
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
    isText(value.reason)
  );
}

/** Whether this is a valid id. */
export const isId = (value: unknown): value is string => idSchema.safeParse(value).success;

/** A version as it is stored; undefined if it is none. */
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
