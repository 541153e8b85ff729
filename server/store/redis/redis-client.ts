import { Cluster, type CommonRedisOptions, Redis } from 'ioredis';
import type { HostPort, RedisTarget } from './redis-url.ts';
import { loadScripts } from './scripts.ts';

export type RedisClient = Redis | Cluster;

/**
 * A reconnect comes within a fifth of a second, spread so that many hubs do not come at once: behind Sentinels each
 * attempt asks one, and the first that knows the new primary may be the last to be asked.
 */
const retryDelayMs = (attempt: number): number => Math.min(50 * attempt, 100) * (1 + Math.random());

/** Time for a server's answer to QUIT: afterwards its outstanding replies have failed. */
const GOODBYE_WITHIN_MS = 200;

/** Time for a Cluster node to list its slots: afterwards the next one is asked. */
const SLOTS_WITHIN_MS = 500;

/** How often a Cluster is asked for its slots without a failure, to drop replicas that are gone. */
const SLOTS_EVERY_MS = 30_000;

/**
 * Options of every connection. The library's queues are off: a command fails at once without a connection, and with its
 * connection; the callers keep, in bounds, what must not be lost.
 */
export function commonOptions(commandTimeoutMs: number) {
  return {
    protocol: 2,
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    connectTimeout: commandTimeoutMs,
    disconnectTimeout: GOODBYE_WITHIN_MS,
    commandTimeout: commandTimeoutMs,
    // A server that accepts and never answers: commands that timed out stay queued until the socket closes.
    socketTimeout: commandTimeoutMs + Math.min(500, commandTimeoutMs),
    keepAlive: 10_000,
    disableClientInfo: true,
    connectionName: 'rollcall-hub',
    // A master that became a replica, or is loading its data: find the right one.
    reconnectOnError: ({ message }) => (/^(READONLY|LOADING)/.test(message) ? 1 : false),
  } satisfies CommonRedisOptions & { disconnectTimeout: number };
}

export interface ClientOptions {
  commandTimeoutMs: number;
  /** The address of the primary for the one that a Sentinel names, if it has moved. */
  whereIs?: (named: string) => HostPort | null;
}

function makeSingle(
  target: Exclude<RedisTarget, { kind: 'cluster' }>,
  { commandTimeoutMs, whereIs = () => null }: ClientOptions,
  withScripts: boolean,
): Redis {
  const options = {
    ...commonOptions(commandTimeoutMs),
    ...target.credentials,
    ...(withScripts && { scripts: loadScripts() }),
    db: target.db,
    enableOfflineQueue: false,
    retryStrategy: retryDelayMs,
  };
  if (target.kind === 'single') {
    return new Redis({ ...options, ...target.at, ...(target.tls && { tls: {} }) });
  }
  const { username, password } = target.sentinelCredentials;
  return new Redis({
    ...options,
    sentinels: target.sentinels,
    name: target.name,
    sentinelCommandTimeout: commandTimeoutMs,
    sentinelRetryStrategy: retryDelayMs,
    natMap: whereIs,
    ...(username !== undefined && { sentinelUsername: username }),
    ...(password !== undefined && { sentinelPassword: password }),
  });
}

function makeCluster(target: Extract<RedisTarget, { kind: 'cluster' }>, commandTimeoutMs: number): Cluster {
  return new Cluster(target.nodes, {
    lazyConnect: true,
    scripts: loadScripts(),
    // Each node connects with its first command, which has to wait for that; the nodes' own queues end with their
    // connections.
    enableOfflineQueue: true,
    // A command whose outcome is unknown is not repeated by the library.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    clusterRetryStrategy: retryDelayMs,
    slotsRefreshTimeout: Math.min(SLOTS_WITHIN_MS, commandTimeoutMs),
    slotsRefreshInterval: SLOTS_EVERY_MS,
    redisOptions: {
      ...commonOptions(commandTimeoutMs),
      ...target.credentials,
      ...(target.tls && { tls: {} }),
    },
    // A certificate names a host, not the address that it resolves to.
    ...(target.tls && {
      dnsLookup: (address: string, callback: (error: null, address: string) => void) =>
        callback(null, address),
    }),
  });
}

/**
 * ioredis handles only the first error of a socket. A second one, as of an aborted TLS handshake, would end the
 * process.
 */
function outliveSocketErrors(client: Redis): Redis {
  const listen = (): void => {
    const stream: Redis['stream'] | undefined = client.stream;
    if (stream && stream.listenerCount('error', ignore) === 0) stream.on('error', ignore);
  };
  // The socket is created a moment after `connecting`.
  client.on('connecting', () => setImmediate(listen));
  for (const event of ['connect', 'error']) client.on(event, listen);
  return client;
}

const ignore = (): void => {};

/** A client of the target, not connected yet. It reconnects by itself until `disconnect`. */
export function makeClient(target: RedisTarget, options: ClientOptions): RedisClient {
  if (target.kind !== 'cluster') return outliveSocketErrors(makeSingle(target, options, true));
  const cluster = makeCluster(target, options.commandTimeoutMs);
  cluster.on('+node', outliveSocketErrors);
  return cluster;
}

/** The connection that subscribes to the bell; a Cluster's client keeps one of its own for that. */
export function makeSubscriber(
  target: RedisTarget,
  client: RedisClient,
  options: ClientOptions,
): RedisClient {
  return target.kind === 'cluster' ? client : outliveSocketErrors(makeSingle(target, options, false));
}
