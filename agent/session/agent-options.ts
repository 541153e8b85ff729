import { randomUUID } from 'node:crypto';
import type { Agent } from 'node:http';
import { isIP } from 'node:net';
import {
  faultOf,
  formatDuration,
  type HeartbeatTiming,
  IN_WORDS,
  LIMITS,
  type NodeFacts,
  nodeFactsSchema,
} from '../../shared/index.ts';
import { type AgentClock, systemClock } from './clock.ts';
import { FleetAgentError } from './errors.ts';
import { toAgentUrl } from './hub-urls.ts';
import { limitedLog } from './limited-log.ts';
import { type AgentLogger, silentLogger } from './log.ts';
import type { StatsProvider } from './stats-reporter.ts';

/**
 * What an agent says of its machine, as in the `register` message. Only `hostname` must be there; the node's
 * id is `nodeId`, or follows from the hostname, so that the same machine is the same node for ever.
 */
export type AgentNode = Partial<NodeFacts> & Pick<NodeFacts, 'hostname'>;

/** How a `FleetAgent` is made. All times are in milliseconds. */
export interface FleetAgentOptions {
  /** One hub or several, as `ws(s)://host:port/agent` or `http(s)://host`; several are tried in random order. */
  hubUrl: string | readonly string[];
  /** Sent as `Authorization: Bearer …`; printable ASCII. */
  token?: string;
  node: AgentNode;
  /**
   * The node's address where `node` has none, asked at each registration and each beat: how this machine is reached,
   * given the local address of the connection to the hub. Another answer is registered, at most every 30 s.
   */
  addressOf?: (localAddress: string | undefined) => string | undefined;
  /** The interval to ask for: it can be longer than the hub's own, up to 10 minutes, never shorter. */
  heartbeat?: Pick<HeartbeatTiming, 'intervalMs'>;
  /** A UUID of this start of the process; random by default. */
  instanceId?: string;
  stats?: StatsProvider;
  /** Stats that take longer are dropped. Default 5 s. */
  statsTimeoutMs?: number;
  /** For a connection attempt, from its first packet to the open WebSocket. Default 10 s. */
  handshakeTimeoutMs?: number;
  /** For the hub's `registered`. Default 10 s. */
  registerTimeoutMs?: number;
  /** Pings in a row without an answer that mean that the hub is gone. Default 3. */
  mostMisses?: number;
  /** For the hub's part of a closing handshake, as in `stop()`; then the connection is cut. Default 3 s. */
  stopTimeoutMs?: number;
  /** For the hub's confirmation of `deregister()`. Default 10 s. */
  deregisterTimeoutMs?: number;
  /** Default: silent. A pino logger fits. */
  logger?: AgentLogger;
  /** The way to a hub that is not reached directly: through a proxy, say. Asked at each attempt. */
  agentFor?: (url: string) => Agent | undefined;
  /** The local address to connect from, for load tests that need more than one. */
  localAddress?: string;
  /** From 0 to below 1, for every jitter. Default `Math.random`. */
  random?: () => number;
  clock?: AgentClock;
}

/** The options after checking, with their defaults. */
export interface AgentConfig {
  hubUrls: readonly string[];
  token?: string;
  node: NodeFacts;
  askedIntervalMs?: number;
  addressOf?: (localAddress: string | undefined) => string | undefined;
  instanceId: string;
  stats?: StatsProvider;
  statsTimeoutMs: number;
  handshakeTimeoutMs: number;
  registerTimeoutMs: number;
  mostMisses?: number;
  stopTimeoutMs: number;
  deregisterTimeoutMs: number;
  logger: AgentLogger;
  agentFor?: (url: string) => Agent | undefined;
  localAddress?: string;
  random: () => number;
  clock: AgentClock;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** RFC 6750's b64token and a little more; anything else could not stand in a header. */
const bearer = /^[\x21-\x7e]+$/;

const invalid = (message: string): FleetAgentError => new FleetAgentError('invalid_options', message);

/** Checks what the hub would refuse, so that a mistake is an error here and not a retry for ever. */
export function checkNode(node: AgentNode): NodeFacts {
  const parsed = nodeFactsSchema.safeParse(node, IN_WORDS);
  if (parsed.success) return parsed.data;
  const { path, message } = faultOf(parsed.error.issues[0]);
  throw invalid(`${['node', ...path].map(String).join('.')}: ${message}`);
}

/** The options with their defaults. Throws a `FleetAgentError` `invalid_options` that names what is wrong. */
export function checkOptions(options: FleetAgentOptions): AgentConfig {
  const { token, instanceId, heartbeat, stats, agentFor, localAddress, clock = systemClock } = options;
  const urls = typeof options.hubUrl === 'string' ? [options.hubUrl] : options.hubUrl;
  if (urls.length === 0) throw invalid('hubUrl: give at least one hub');
  if (token !== undefined) checkToken(token);
  if (instanceId !== undefined && !uuid.test(instanceId)) throw invalid('instanceId: must be a UUID');
  if (localAddress !== undefined && isIP(localAddress) === 0)
    throw invalid('localAddress: must be an IP address');
  if (heartbeat !== undefined) checkInterval(heartbeat.intervalMs);
  return {
    hubUrls: urls.map(toAgentUrl),
    ...(token !== undefined && { token }),
    node: checkNode(options.node),
    ...(heartbeat && { askedIntervalMs: heartbeat.intervalMs }),
    ...(options.addressOf && { addressOf: options.addressOf }),
    instanceId: instanceId ?? randomUUID(),
    ...(stats && { stats }),
    statsTimeoutMs: options.statsTimeoutMs ?? 5_000,
    handshakeTimeoutMs: options.handshakeTimeoutMs ?? 10_000,
    registerTimeoutMs: options.registerTimeoutMs ?? 10_000,
    ...(options.mostMisses !== undefined && { mostMisses: options.mostMisses }),
    stopTimeoutMs: options.stopTimeoutMs ?? 3_000,
    deregisterTimeoutMs: options.deregisterTimeoutMs ?? 10_000,
    logger: options.logger ? limitedLog(options.logger, clock) : silentLogger,
    ...(agentFor !== undefined && { agentFor }),
    ...(localAddress !== undefined && { localAddress }),
    random: options.random ?? Math.random,
    clock,
  };
}

export function checkToken(token: string): void {
  if (!bearer.test(token)) throw invalid('token: must be printable ASCII without spaces');
}

export function checkInterval(intervalMs: number): void {
  if (Number.isInteger(intervalMs) && intervalMs > 0 && intervalMs <= LIMITS.longestIntervalMs) return;
  throw invalid(
    `heartbeat.intervalMs: must be a whole number from 1 to ${LIMITS.longestIntervalMs} (${formatDuration(LIMITS.longestIntervalMs)})`,
  );
}
