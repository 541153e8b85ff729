import { z } from 'zod';
import { type DashboardEvent, dashboardEventSchema, type FleetEvent, fleetEventSchema } from './event.ts';
import { filterSchema } from './filter.ts';
import { LIMITS } from './limits.ts';
import {
  type FleetNode,
  idSchema,
  instantSchema,
  type NodeSummary,
  nodeSchema,
  nodeSummarySchema,
  shownStatsSchema,
} from './node.ts';

/** The path of Socket.IO on a hub. */
export const DASHBOARD_PATH = '/socket.io';

export const subscribeSchema = z.object({
  filter: filterSchema.default({}),
  /** Where an earlier subscription with the same filter got to. */
  since: z.string().max(LIMITS.cursorLength).exactOptional(),
  fields: z.enum(['full', 'summary']).default('full'),
  gzip: z.boolean().default(false),
});
export type Subscribe = z.output<typeof subscribeSchema>;
export type SubscribeInput = z.input<typeof subscribeSchema>;

export const watchSchema = z.object({ ids: z.array(idSchema).max(LIMITS.watchedIds) });
export const nodeRequestSchema = z.object({ id: idSchema });
export const historyRequestSchema = z.object({
  nodeId: idSchema.exactOptional(),
  limit: z.number().int().positive().max(LIMITS.historyEvents).default(100),
});

/**
 * Whether the hub sees its store (`live`) or has lost sight of it (`stale`), since when, how many hubs hold a lease, and
 * the hub's time when it said so, which hubs of version 0.1.0 do not tell.
 */
export const hubStateSchema = z.object({
  state: z.enum(['live', 'stale']),
  since: instantSchema,
  hubs: z.number().int().nonnegative(),
  now: instantSchema.exactOptional(),
});
export type HubState = z.output<typeof hubStateSchema>;

/** Live figures of one node and when it last beat. */
export const liveStatsSchema = z.object({
  lastHeartbeatAt: instantSchema.nullable(),
  ...shownStatsSchema.shape,
});
export type LiveStats = z.output<typeof liveStatsSchema>;

/**
 * Codes of a refusal. `not_ready`: the hub is still loading its view; try again in a second. `replaced`: another
 * `subscribe` or `unsubscribe` came before this one was answered.
 */
export const refusalCodeSchema = z.enum([
  'not_ready',
  'invalid',
  'not_found',
  'store_away',
  'too_many',
  'replaced',
]);
export const refusalSchema = z.object({ ok: z.literal(false), code: refusalCodeSchema, message: z.string() });
export type Refusal = z.output<typeof refusalSchema>;

export const subscribedSchema = z.object({
  ok: z.literal(true),
  cursor: z.string(),
  resumed: z.boolean(),
  /** Nodes that match the filter now. */
  total: z.number().int().nonnegative(),
  hub: hubStateSchema,
});
export type Subscribed = z.output<typeof subscribedSchema>;

/** A page of the first picture. The picture is whole, and a cursor may be used, after `remaining: 0`. */
export const snapshotSchema = z.object({
  nodes: z.array(z.union([nodeSchema, nodeSummarySchema])),
  remaining: z.number().int().nonnegative(),
});
export type Snapshot = { nodes: Array<FleetNode | NodeSummary>; remaining: number };
/** The same page for a subscriber that asked for gzip: the JSON of `nodes`, compressed. */
export type GzipSnapshot = { gzip: Uint8Array; remaining: number };

export const changesSchema = z.object({ cursor: z.string(), events: z.array(dashboardEventSchema) });
export type Changes = { cursor: string; events: DashboardEvent[] };

export const resyncSchema = z.object({ reason: z.string() });

/** Why a connection was refused (`connect_error`, its `data.code`): no or a wrong token, or one that may not read. */
export const connectErrorSchema = z.object({ code: z.enum(['unauthenticated', 'forbidden']) });
export type ConnectError = z.output<typeof connectErrorSchema>;

type Ack<T> = (answer: T | Refusal) => void;
export type NodeAnswer = { ok: true; node: FleetNode; stats: LiveStats };
export type HistoryAnswer = { ok: true; events: FleetEvent[] };
export const nodeAnswerSchema = z.object({ ok: z.literal(true), node: nodeSchema, stats: liveStatsSchema });
export const historyAnswerSchema = z.object({ ok: z.literal(true), events: z.array(fleetEventSchema) });

/** What a dashboard sends, for Socket.IO's types. Payloads are unknown until a schema has read them. */
export interface DashboardToHub {
  subscribe: (request: SubscribeInput, ack: Ack<Subscribed>) => void;
  unsubscribe: () => void;
  watch: (request: z.input<typeof watchSchema>) => void;
  node: (request: z.input<typeof nodeRequestSchema>, ack: Ack<NodeAnswer>) => void;
  history: (request: z.input<typeof historyRequestSchema>, ack: Ack<HistoryAnswer>) => void;
}

/** What the hub sends to a dashboard, for Socket.IO's types. */
export interface HubToDashboard {
  snapshot: (page: Snapshot | GzipSnapshot) => void;
  changes: (changes: Changes) => void;
  resync: (why: z.output<typeof resyncSchema>) => void;
  hub: (state: HubState) => void;
  stats: (stats: { stats: Record<string, LiveStats> }) => void;
}
