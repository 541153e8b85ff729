import { Cluster, type CommonRedisOptions, Redis } from 'ioredis';
import type { RedisTarget } from './redis-url.ts';
import { loadScripts } from './scripts.ts';

export type RedisClient = Redis | Cluster;

/** A reconnect comes within half a second, spread so that many hubs do not come at once. */
const retryDelayMs = (attempt: number): number => Math.min(50 * attempt, 250) * (1 + Math.random());

/**
 * What every connection has in common. Nothing waits in queues of the library: a command fails at once without
 * a connection, and with its connection; what must not be lost is kept, bounded, by the callers.
 */
function commonOptions(commandTimeoutMs: number) {
  return {
    protocol: 2,
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    connectTimeout: commandTimeoutMs,
    commandTimeout: commandTimeoutMs,
    // A server that accepts and never answers: commands that timed out stay queued until the socket goes.
    socketTimeout: commandTimeoutMs + Math.min(500, commandTimeoutMs),
    keepAlive: 10_000,
    disableClientInfo: true,
    connectionName: 'rollcall-hub',
    // A master that became a replica, or is loading its data: look for the right one.
    reconnectOnError: ({ message }) => (/^(READONLY|LOADING)/.test(message) ? 1 : false),
  } satisfies CommonRedisOptions;
}

function makeSingle(
  target: Exclude<RedisTarget, { kind: 'cluster' }>,
  commandTimeoutMs: number,
  withScripts: boolean,
): Redis {
  const options = {
    ...commonOptions(commandTimeoutMs),
    ...target.credentials,
    ...(withScripts && { scripts: loadScripts() }),
    db: target.db,
    enableOfflineQueue: false,
    retryStrategy: retryDelayMs,
    disconnectTimeout: 500,
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
    ...(username !== undefined && { sentinelUsername: username }),
    ...(password !== undefined && { sentinelPassword: password }),
  });
}

function makeCluster(target: Extract<RedisTarget, { kind: 'cluster' }>, commandTimeoutMs: number): Cluster {
  return new Cluster(target.nodes, {
    lazyConnect: true,
    scripts: loadScripts(),
    // Each node connects with its first command, which has to wait for that; the nodes' own queues end with
    // their connections.
    enableOfflineQueue: true,
    // A command whose outcome is unknown is not sent again behind our back.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    clusterRetryStrategy: retryDelayMs,
    slotsRefreshTimeout: commandTimeoutMs,
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

/** A client of the target, not connected yet. It reconnects by itself until `disconnect`. */
export function makeClient(target: RedisTarget, commandTimeoutMs: number): RedisClient {
  return target.kind === 'cluster'
    ? makeCluster(target, commandTimeoutMs)
    : makeSingle(target, commandTimeoutMs, true);
}

/** The connection that listens to the doorbell; a Cluster's client keeps one of its own for that. */
export function makeSubscriber(
  target: RedisTarget,
  client: RedisClient,
  commandTimeoutMs: number,
): RedisClient {
  return target.kind === 'cluster' ? client : makeSingle(target, commandTimeoutMs, false);
}
