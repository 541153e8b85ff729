import { z } from 'zod';
import { heartbeatTimingSchema } from './heartbeat.ts';
import { AGENT_PROTOCOL, LIMITS } from './limits.ts';
import { instantSchema, nodeFactsSchema, nodeSchema, statsSchema, textSchema } from './node.ts';

/** The path of the agents' WebSocket on a hub. */
export const AGENT_PATH = '/agent';

/** Upgrade header with the value `1`: this agent was registered before, and goes ahead of newcomers. */
export const KNOWN_HEADER = 'rollcall-known';

/** What an agent may announce in `register.features`. */
export const FEATURES = {
  /** It understands `move` and `stay`. */
  move: 'move',
  /** It answers `heartbeat` with `heartbeat_set`. */
  heartbeatSet: 'heartbeat_set',
} as const;
export type Feature = (typeof FEATURES)[keyof typeof FEATURES];

/** First message of a session: who this is. Sent again on a live session, it updates the node. */
export const registerSchema = z.object({
  type: z.literal('register'),
  protocol: z.literal(AGENT_PROTOCOL),
  /** A UUID of this start of the agent's process. */
  instanceId: z.uuid(),
  /** The interval that this node asks for: longer than the hub's own, for machines that sleep or pay by the byte. */
  heartbeat: z
    .object({ intervalMs: z.number().int().positive().max(LIMITS.longestNamedIntervalMs) })
    .exactOptional(),
  /** What it understands besides the messages of every agent, such as `move`. */
  features: z.array(z.string().max(64)).max(16).exactOptional(),
  node: nodeFactsSchema,
});
export type Register = z.output<typeof registerSchema>;

/** Live figures. As good as a ping for liveness; not answered. */
export const statsMessageSchema = z.object({ type: z.literal('stats'), stats: statsSchema });
export type StatsMessage = z.output<typeof statsMessageSchema>;

/** The node is to be removed. Answered with close 1000. */
export const deregisterSchema = z.object({
  type: z.literal('deregister'),
  reason: textSchema(LIMITS.textLength).exactOptional(),
});
export type Deregister = z.output<typeof deregisterSchema>;

/** The answer to `heartbeat`: the agent beats in this interval from now on. Only from agents that announce it. */
export const heartbeatSetSchema = z.object({
  type: z.literal('heartbeat_set'),
  intervalMs: z.number().int().positive().max(LIMITS.longestNamedIntervalMs),
});
export type HeartbeatSet = z.output<typeof heartbeatSetSchema>;

/** What an agent may hand in: defaults not filled in yet. */
export type RegisterInput = z.input<typeof registerSchema>;

export const registeredSchema = z.object({
  type: z.literal('registered'),
  nodeId: z.string(),
  /** The fencing token of this session: a secret between agent and hub. */
  session: z.string(),
  reregistered: z.boolean(),
  createdAt: instantSchema,
  hubTime: instantSchema,
  heartbeat: heartbeatTimingSchema,
  node: nodeSchema,
});
export type Registered = z.output<typeof registeredSchema>;

/** The node's timing changes from now on. */
export const heartbeatMessageSchema = z.object({
  type: z.literal('heartbeat'),
  ...heartbeatTimingSchema.shape,
});

/**
 * The hub cannot reach its store: the agent is to register elsewhere within this time, and keeps this session until it
 * has. Only for agents that announce `move`.
 */
export const moveMessageSchema = z.object({
  type: z.literal('move'),
  withinMs: z.number().int().nonnegative().max(LIMITS.longestIntervalMs),
});
/** The hub reaches its store again: who has not found another may stay. */
export const stayMessageSchema = z.object({ type: z.literal('stay') });

/** Codes of an `error` message. */
export const agentErrorCodeSchema = z.enum([
  /** Not JSON, or not an object with a `type`. */
  'bad_json',
  'unknown_type',
  /** A field is wrong; `path` names it. */
  'invalid',
  'too_large',
  /** `stats`, `heartbeat_set` or `deregister` before `register`. */
  'not_registered',
  /** A second `register` that names another node. */
  'identity_changed',
  /** Too many messages of this session wait for the store. */
  'too_many_pending',
  /** The hub cannot reach its store now; try again. */
  'store_away',
  /** Others change this node at the same moment, again and again; try again. */
  'contended',
]);
export type AgentErrorCode = z.infer<typeof agentErrorCodeSchema>;

/** One bad message is answered, not fatal. */
export const agentErrorSchema = z.object({
  type: z.literal('error'),
  code: agentErrorCodeSchema,
  message: z.string(),
  path: z.string().exactOptional(),
});
export type AgentError = z.output<typeof agentErrorSchema>;

/** Everything that the hub sends to an agent, besides pong frames. */
export const hubMessageSchema = z.discriminatedUnion('type', [
  registeredSchema,
  heartbeatMessageSchema,
  moveMessageSchema,
  stayMessageSchema,
  agentErrorSchema,
]);
export type HubMessage = z.output<typeof hubMessageSchema>;

/** Messages that only those agents are sent that announced the feature. */
export const FEATURE_OF_MESSAGE: Readonly<Partial<Record<HubMessage['type'], Feature>>> = {
  move: FEATURES.move,
  stay: FEATURES.move,
};
