/**
 * What agent, hub and dashboard agree on, for programs that speak to a hub by themselves: the messages of both wires as
 * types and zod schemas, statuses and reasons, close codes, and limits. docs/PROTOCOL.md says how they are used.
 */

export {
  AGENT_PATH,
  type AgentError,
  type AgentErrorCode,
  agentErrorCodeSchema,
  agentErrorSchema,
  type Deregister,
  deregisterSchema,
  FEATURES,
  type Feature,
  type HubMessage,
  hubMessageSchema,
  type Register,
  type Registered,
  type RegisterInput,
  registeredSchema,
  registerSchema,
  type StatsMessage,
  statsMessageSchema,
} from './agent-wire.ts';
export { type AfterClose, afterClose, CLOSE, type CloseCode } from './close-codes.ts';
export {
  type Changes,
  type ConnectError,
  changesSchema,
  connectErrorSchema,
  DASHBOARD_PATH,
  type DashboardToHub,
  type GzipSnapshot,
  type HistoryAnswer,
  type HubState,
  type HubToDashboard,
  historyAnswerSchema,
  hubStateSchema,
  type LiveStats,
  liveStatsSchema,
  type NodeAnswer,
  nodeAnswerSchema,
  type Refusal,
  refusalSchema,
  resyncSchema,
  type Snapshot,
  type Subscribe,
  type Subscribed,
  type SubscribeInput,
  snapshotSchema,
  subscribedSchema,
  subscribeSchema,
} from './dashboard-wire.ts';
export {
  type DashboardEvent,
  dashboardEventSchema,
  type EventType,
  eventTypeSchema,
  type FleetEvent,
  fleetEventSchema,
  isHole,
} from './event.ts';
export { type Filter, filterFromQuery, filterQuery, filterSchema } from './filter.ts';
export { type HeartbeatTiming, heartbeatTimingSchema } from './heartbeat.ts';
export { AGENT_PROTOCOL, LIMITS } from './limits.ts';
export {
  type Condition,
  type Connection,
  conditionSchema,
  type Evidence,
  evidenceSchema,
  type FleetNode,
  idSchema,
  inContact,
  type NodeFacts,
  type NodeStats,
  type NodeSummary,
  nodeFactsSchema,
  nodeSchema,
  nodeSummarySchema,
  type Reason,
  reasonSchema,
  STATUSES,
  type Status,
  statsSchema,
  statusSchema,
  summarize,
} from './node.ts';
export { reasonWords } from './reason-words.ts';
export { printable } from './text.ts';
