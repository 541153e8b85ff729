import { z } from 'zod';
import { Child } from '../harness/child.ts';
import { residentBytes, SERVER_CORE } from '../harness/processes.ts';
import { type Memory, memorySchema } from '../harness/serve.ts';
import type { AgentDialectName } from '../load/agent-dialects.ts';
import type { DashboardDialectName } from '../load/dashboards.ts';
import { mosquittoPath, startMosquitto } from './mosquitto.ts';

export type PeerName =
  | 'responder'
  | 'bare'
  | 'memory'
  | 'redis'
  | 'cluster'
  | 'plain-ws'
  | 'plain-socket-io'
  | 'fastify'
  | 'rest'
  | 'mosquitto'
  | 'aedes';

/** How a server is started for a measurement. */
export interface PeerSettings {
  /** The Redis that a peer which uses one gets. */
  redisUrl?: string | undefined;
  /** The same one again, after a crash. */
  port?: number | undefined;
  intervalMs?: number | undefined;
  timeoutMs?: number | undefined;
}

/** A server that runs. */
export interface PeerServer {
  readonly port: number;
  readonly pid: number;
  memory(): Promise<Memory>;
  ask<S extends z.ZodType>(what: string, schema: S): Promise<z.output<S>>;
  kill(): Promise<void>;
}

export interface Peer {
  name: PeerName;
  title: string;
  is: string;
  /** What it does not do of a hub's work. */
  lacks: string;
  dialect: AgentDialectName;
  /** How it is watched; absent: nobody can. */
  dashboard?: DashboardDialectName;
  redis: 'none' | 'one' | 'cluster';
  start(settings: PeerSettings): Promise<PeerServer>;
}

const readySchema = z.object({ port: z.number() });

/** The agents of a measurement are silent while others have their turn: nobody may be judged by it. */
const PATIENT = { intervalMs: 180_000, timeoutMs: 600_000 };

async function startNode(file: string, settings: PeerSettings): Promise<PeerServer> {
  const { intervalMs, timeoutMs } = { ...PATIENT, ...definedOf(settings) };
  const env: Record<string, string> = {
    PORT: String(settings.port ?? 0),
    TIMEOUT_MS: String(timeoutMs),
    HEARTBEAT_INTERVAL: `${intervalMs}ms`,
    HEARTBEAT_TIMEOUT: `${timeoutMs}ms`,
    ...(settings.redisUrl !== undefined && { REDIS_URL: settings.redisUrl }),
  };
  const { child, ready } = await Child.start(new URL(file, import.meta.url), {
    name: file,
    core: SERVER_CORE,
    env,
  });
  return {
    port: readySchema.parse(ready).port,
    pid: child.pid,
    memory: () => child.ask({ do: 'memory' }, memorySchema),
    ask: (what, schema) => child.ask({ do: what }, schema),
    kill: () => child.kill(),
  };
}

function definedOf({ intervalMs, timeoutMs }: PeerSettings): { intervalMs?: number; timeoutMs?: number } {
  return {
    ...(intervalMs !== undefined && { intervalMs }),
    ...(timeoutMs !== undefined && { timeoutMs }),
  };
}

async function startBroker(settings: PeerSettings): Promise<PeerServer> {
  const broker = await startMosquitto(SERVER_CORE, settings.port);
  return {
    port: broker.port,
    pid: broker.pid,
    memory: async () => ({ rss: residentBytes(broker.pid), used: Number.NaN }),
    ask: async (what) => {
      throw new Error(`mosquitto does not answer "${what}"`);
    },
    kill: () => broker.kill(),
  };
}

const node =
  (file: string) =>
  (settings: PeerSettings): Promise<PeerServer> =>
    startNode(file, settings);

const noHub = 'no record of a node, no reason codes, no event log, no fencing, one process only';
const plainLacks =
  'no order or versions of changes, no replay after a lost connection, no fencing of older sessions, no reason codes, no judgement while Redis is away, no bound for slow dashboards';

/** Every peer of the bench, in the order of its tables. */
export const PEERS: Record<PeerName, Peer> = {
  responder: {
    name: 'responder',
    title: 'raw responder',
    is: 'a TCP socket of Node that answers each chunk with a pong: what the load can drive, no server',
    lacks: 'everything',
    dialect: 'bare',
    redis: 'none',
    start: node('./responder.ts'),
  },
  bare: {
    name: 'bare',
    title: 'bare ws',
    is: 'a WebSocket server of ws that answers pings: the floor of this runtime',
    lacks: 'everything else: it keeps nothing, judges nobody and tells nobody',
    dialect: 'bare',
    redis: 'none',
    start: node('./bare-ws.ts'),
  },
  memory: {
    name: 'memory',
    title: 'Rollcall, memory',
    is: 'one hub with the store in memory',
    lacks: 'one process; a restart forgets who was offline',
    dialect: 'rollcall',
    dashboard: 'rollcall',
    redis: 'none',
    start: node('./rollcall.ts'),
  },
  redis: {
    name: 'redis',
    title: 'Rollcall, Redis',
    is: 'a hub on one Redis',
    lacks: '–',
    dialect: 'rollcall',
    dashboard: 'rollcall',
    redis: 'one',
    start: node('./rollcall.ts'),
  },
  cluster: {
    name: 'cluster',
    title: 'Rollcall, Redis Cluster',
    is: "a hub on a Redis Cluster of three masters, all on the load's core",
    lacks: '–',
    dialect: 'rollcall',
    dashboard: 'rollcall',
    redis: 'cluster',
    start: node('./rollcall.ts'),
  },
  'plain-ws': {
    name: 'plain-ws',
    title: 'plain ws + ioredis',
    is: 'ws without compression; a hash of nodes, SET … PX for each heartbeat (pipelined by ioredis), keyspace notifications for silence, PUBLISH for changes',
    lacks: plainLacks,
    dialect: 'rollcall',
    dashboard: 'plain-ws',
    redis: 'one',
    start: node('./plain-ws.ts'),
  },
  'plain-socket-io': {
    name: 'plain-socket-io',
    title: 'plain Socket.IO + ioredis',
    is: 'the same with Socket.IO, WebSocket only; heartbeats are acknowledged events',
    lacks: plainLacks,
    dialect: 'socket-io',
    dashboard: 'plain-socket-io',
    redis: 'one',
    start: node('./plain-socket-io.ts'),
  },
  fastify: {
    name: 'fastify',
    title: 'Fastify + ioredis, REST',
    is: 'POST for each heartbeat over a kept connection, SET … PX (pipelined by ioredis)',
    lacks:
      'a lost machine is seen by its TTL only, and nobody is told: dashboards poll; no record of changes',
    dialect: 'http',
    redis: 'one',
    start: node('./fastify-rest.ts'),
  },
  rest: {
    name: 'rest',
    title: 'Rollcall, Redis, REST',
    is: 'the same POST to a hub on one Redis',
    lacks: 'a lost machine is seen by its TTL only',
    dialect: 'http',
    dashboard: 'rollcall',
    redis: 'one',
    start: node('./rollcall.ts'),
  },
  mosquitto: {
    name: 'mosquitto',
    title: 'mosquitto',
    is: 'an MQTT broker in C: PINGREQ, last will, facts as retained messages; nothing on disk',
    lacks: `${noHub}; a broken connection and silence are the same last will`,
    dialect: 'mqtt',
    dashboard: 'mqtt',
    redis: 'none',
    start: startBroker,
  },
  aedes: {
    name: 'aedes',
    title: 'aedes',
    is: 'an MQTT broker in Node, the same way',
    lacks: `${noHub}; a broken connection and silence are the same last will`,
    dialect: 'mqtt',
    dashboard: 'mqtt',
    redis: 'none',
    start: node('./aedes.ts'),
  },
};

/** Why a peer cannot take part here, where it cannot. */
export function missing(name: PeerName): string | undefined {
  return name === 'mosquitto' && mosquittoPath === undefined ? 'not installed' : undefined;
}
