import { z } from 'zod';
import { heartbeatTimingSchema } from './heartbeat.ts';
import { boundedJson, isWellFormed, MOST_FAULTS, NOT_EXACT } from './json.ts';
import { LIMITS } from './limits.ts';
import { hasControl, hasControlBesidesLines } from './text.ts';

/** The four statuses of a node. Removal is not one: the record goes. */
export const statusSchema = z.enum(['online', 'degraded', 'unreachable', 'offline']);
export type Status = z.infer<typeof statusSchema>;
export const STATUSES = statusSchema.options;

/** Whether a node with this status beats, as far as is known: the others are out of contact or gone. */
export function inContact(status: Status): boolean {
  return status === 'online' || status === 'degraded';
}

/**
 * Why something changed. `superseded`: registered again while another instance of its agent still beat, often
 * a cloned machine. `connection_lost`: its socket closed without a goodbye. `hub_lost`: its heartbeat ended
 * together with the lease of the hub that held it. `store_restored`: the store lost writes, a hub put them back.
 * `unknown`: what the store holds is no reason that this version knows.
 */
export const reasonSchema = z.enum([
  'registered',
  'reconnected',
  'superseded',
  'condition_failed',
  'condition_cleared',
  'connection_lost',
  'hub_lost',
  'agent_stopped',
  'heartbeat_timeout',
  'deregistered',
  'removed_by_operator',
  'store_restored',
  'unknown',
]);
export type Reason = z.infer<typeof reasonSchema>;

/** Text of a bounded length in one line: no control or bidirectional formatting characters, no half surrogate pairs. */
export const textSchema = (maxLength: number) =>
  z
    .string()
    .max(maxLength)
    .refine((text) => !hasControl(text), 'has control characters')
    .refine(isWellFormed, 'has half a surrogate pair');

export const nameSchema = textSchema(LIMITS.nameLength).min(1);

/** Ids of nodes, pools and conditions: a letter or digit, then letters, digits and `._:-`. */
export const idSchema = z
  .string()
  .max(LIMITS.nameLength)
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._:-]*$/,
    'must be letters, digits and ._:- and begin with a letter or digit',
  );

/** Label keys: as ids, and `/` too. */
export const labelKeySchema = z
  .string()
  .max(LIMITS.nameLength)
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._:/-]*$/,
    'must be letters, digits and ._:/- and begin with a letter or digit',
  );

/** The largest number of entries of a map; a map that may be cut keeps this number. */
const atMost = (maximum: number, what: string) => ({
  error: `has more than ${maximum} ${what}`,
  params: { maximum },
});

export const labelsSchema = z
  .record(labelKeySchema, textSchema(LIMITS.nameLength))
  .refine((labels) => Object.keys(labels).length <= LIMITS.labels, atMost(LIMITS.labels, 'labels'));

/** Free JSON, whose texts may have several lines; each place that has control characters is named. How deep it nests was checked before it. */
const freely = (context: { value: unknown; issues: z.core.$ZodRawIssue[] }): void => {
  if (isFree(context.value)) return;
  for (const path of unfreePaths(context.value, [])) {
    if (context.issues.length >= MOST_FAULTS) break;
    context.issues.push({ code: 'custom', message: 'has control characters', path, input: context.value });
  }
};
const freeSchema = z.unknown().check(freely);
const freeObjectSchema = z.record(z.string(), z.unknown()).check(freely);

function isFree(value: unknown): boolean {
  if (typeof value === 'string') return !hasControlBesidesLines(value);
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isFree);
  return Object.entries(value).every(([key, child]) => !hasControl(key) && isFree(child));
}

function* unfreePaths(value: unknown, path: PropertyKey[]): Generator<PropertyKey[]> {
  if (typeof value === 'string') {
    if (hasControlBesidesLines(value)) yield path;
  } else if (Array.isArray(value)) {
    for (const [index, child] of value.entries()) yield* unfreePaths(child, [...path, index]);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, child] of Object.entries(value)) {
      if (hasControl(key)) yield [...path, key];
      else yield* unfreePaths(child, [...path, key]);
    }
  }
}

const factFields = {
  machineId: nameSchema.exactOptional(),
  hostname: nameSchema,
  kind: nameSchema.exactOptional(),
  address: nameSchema.exactOptional(),
  location: nameSchema.exactOptional(),
  labels: labelsSchema.default({}),
  roles: z.array(nameSchema).max(LIMITS.roles).default([]),
  pools: z.array(nameSchema).max(LIMITS.pools).default([]),
  capabilities: freeSchema.exactOptional(),
  cpu: freeObjectSchema.exactOptional(),
  memory: freeObjectSchema.exactOptional(),
  capacity: freeObjectSchema.exactOptional(),
  metadata: freeObjectSchema.exactOptional(),
  agent: z.object({ name: nameSchema, version: nameSchema }).exactOptional(),
};

/** What an agent says of its machine. Unknown fields are dropped, so that new agents and old hubs get along. */
export const nodeFactsSchema = boundedJson(
  z.object({ nodeId: idSchema.exactOptional(), ...factFields }),
  LIMITS.nodeBytes,
);
export type NodeFacts = z.output<typeof nodeFactsSchema>;

/** Beyond this a number of JSON may be another one than was written. */
const MOST = Number.MAX_SAFE_INTEGER;

/** A figure from 0, or null where it could not be read. */
export const figureSchema = z.number().nonnegative().max(MOST, NOT_EXACT).nullable();
const numberOrNull = figureSchema.exactOptional();

/** A figure that may be negative. */
const metricSchema = z.number().min(-MOST, NOT_EXACT).max(MOST, NOT_EXACT).nullable();

/** A health check of the machine that its agent made: `fail` makes the node `degraded`. */
export const conditionSchema = z.object({
  type: idSchema,
  status: z.enum(['ok', 'warn', 'fail']),
  message: textSchema(LIMITS.textLength).exactOptional(),
});
export type Condition = z.infer<typeof conditionSchema>;

/** Live figures of a machine. A figure that could not be read is null or absent. */
export const statsSchema = z.object({
  cpuPercent: numberOrNull,
  memoryUsedMib: numberOrNull,
  memoryTotalMib: numberOrNull,
  memoryPercent: numberOrNull,
  diskPercent: numberOrNull,
  uptimeSeconds: numberOrNull,
  pools: z
    .array(z.object({ poolId: nameSchema, ready: z.boolean(), slotsFree: z.number().int().nonnegative() }))
    .max(LIMITS.pools)
    .exactOptional(),
  conditions: z.array(conditionSchema).max(LIMITS.conditions).exactOptional(),
  metrics: z
    .record(labelKeySchema, metricSchema)
    .refine((metrics) => Object.keys(metrics).length <= LIMITS.metrics, atMost(LIMITS.metrics, 'metrics'))
    .exactOptional(),
  at: textSchema(64).exactOptional(),
});
export type NodeStats = z.infer<typeof statsSchema>;

/** An instant: ISO 8601 with milliseconds, UTC. */
export const instantSchema = z.iso.datetime({ precision: 3 });

/** What a status rests on. */
export const evidenceSchema = z.object({
  lastHeartbeatAt: instantSchema.exactOptional(),
  hubId: z.string().exactOptional(),
  closeCode: z.number().int().exactOptional(),
  detail: z.string().exactOptional(),
  /** Who did it: the name of the token that was shown. */
  by: z.string().exactOptional(),
});
export type Evidence = z.infer<typeof evidenceSchema>;

const connectionSchema = z.object({
  hubId: z.string(),
  transport: z.enum(['websocket', 'http']),
  remoteAddress: z.string(),
  since: instantSchema,
});
export type Connection = z.infer<typeof connectionSchema>;

/**
 * Text as clients take it from a hub: it was checked where it came in, and an older hub may have accepted more. To be made
 * `printable` where it is shown.
 */
const shownText = z.string();
const shownLabels = z.record(z.string(), shownText);
const shownObject = z.record(z.string(), z.unknown());

const shownFields = {
  machineId: shownText.exactOptional(),
  hostname: shownText,
  kind: shownText.exactOptional(),
  address: shownText.exactOptional(),
  location: shownText.exactOptional(),
  labels: shownLabels.default({}),
  roles: z.array(shownText).default([]),
  pools: z.array(shownText).default([]),
  capabilities: z.unknown().exactOptional(),
  cpu: shownObject.exactOptional(),
  memory: shownObject.exactOptional(),
  capacity: shownObject.exactOptional(),
  metadata: shownObject.exactOptional(),
  agent: z.object({ name: shownText, version: shownText }).exactOptional(),
};
const shownConditionSchema = z.object({
  ...conditionSchema.shape,
  type: shownText,
  message: shownText.exactOptional(),
});

/** Live figures as clients take them from a hub. */
export const shownStatsSchema = z.object({
  ...statsSchema.shape,
  conditions: z.array(shownConditionSchema).exactOptional(),
  at: shownText.exactOptional(),
});

/** How the agent of a node shows its identity, weakest first. */
export const proofSchema = z.enum(['none', 'token', 'credential', 'certificate']);
export type Proof = z.infer<typeof proofSchema>;

/** What the hubs know of who speaks for a node. Absent in records of version 0.1. */
const trustSchema = z.object({ by: proofSchema });

export type Trust = z.infer<typeof trustSchema>;

/** The part of a node that its agent owns, as clients see it. */
const factsSchema = z.object(shownFields);
export type Facts = z.output<typeof factsSchema>;

/** The part of a node that the hubs own: whether it lives, and since when it is known. No field of it may be absent. */
const livenessSchema = z.object({
  status: statusSchema,
  reason: reasonSchema,
  statusSince: instantSchema,
  conditions: z.array(shownConditionSchema),
  evidence: evidenceSchema,
  heartbeat: heartbeatTimingSchema,
  connection: connectionSchema.nullable(),
  createdAt: instantSchema,
  registeredAt: instantSchema,
});
export type Liveness = z.output<typeof livenessSchema>;

/**
 * The node that clients see: dashboards, the API, the `registered` reply, `event.node`. On the wire its parts are one
 * flat object.
 */
export const nodeSchema = z.object({
  id: idSchema,
  /** The node's version: 1, 2, 3 …, one more with each event. */
  seq: z.number().int().positive(),
  ...factsSchema.shape,
  ...livenessSchema.shape,
  trust: trustSchema.exactOptional(),
});
export type FleetNode = z.output<typeof nodeSchema>;

/** The row of a list. */
export const nodeSummarySchema = z.object({
  id: idSchema,
  seq: z.number().int().positive(),
  hostname: shownText,
  kind: shownText.exactOptional(),
  location: shownText.exactOptional(),
  labels: shownLabels,
  pools: z.array(shownText),
  address: shownText.exactOptional(),
  status: statusSchema,
  reason: reasonSchema,
  statusSince: instantSchema,
  hubId: z.string().exactOptional(),
});
export type NodeSummary = z.infer<typeof nodeSummarySchema>;

/** The row of a list for one node. */
export function summarize(node: FleetNode): NodeSummary {
  return {
    id: node.id,
    seq: node.seq,
    hostname: node.hostname,
    ...(node.kind !== undefined && { kind: node.kind }),
    ...(node.location !== undefined && { location: node.location }),
    labels: node.labels,
    pools: node.pools,
    ...(node.address !== undefined && { address: node.address }),
    status: node.status,
    reason: node.reason,
    statusSince: node.statusSince,
    ...(node.connection && { hubId: node.connection.hubId }),
  };
}
