import cluster from 'node:cluster';
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import type { Logger } from 'pino';
import type { Hub } from '../server/hub.ts';
import type { Log } from '../server/runtime/log.ts';
import { type Environment, type HubSettings, readHubSettings, SettingsError } from '../server/settings.ts';
import { StoreRefusedError } from '../server/store/fleet-store.ts';
import { createLogger, setLogLevel } from './agent-log.ts';
import { runGroup } from './hub-group/primary.ts';
import { runWorker } from './hub-group/worker.ts';
import { reloader } from './hub-reload.ts';
import { warnOfOpenFiles } from './secret-files.ts';
import { secretsOf, takeEnvironment } from './secrets.ts';
import { forceTheEnd, outliveEarlyReload, untilSignal } from './signals.ts';
import { UsageError } from './usage-error.ts';

/** Heartbeats of `--dev`: an unplugged node is seen in three seconds. */
export const DEV_SETTINGS = {
  HEARTBEAT_INTERVAL: '1s',
  HEARTBEAT_TIMEOUT: '3s',
  LOG_LEVEL: 'debug',
} as const;

const flags = {
  host: 'HOST',
  port: 'PORT',
  redisUrl: 'REDIS_URL',
  keyPrefix: 'KEY_PREFIX',
  shards: 'SHARDS',
  serve: 'SERVE',
  workers: 'WORKERS',
  heartbeatInterval: 'HEARTBEAT_INTERVAL',
  heartbeatTimeout: 'HEARTBEAT_TIMEOUT',
  admitPerSecond: 'ADMIT_PER_SECOND',
  maxHandshakes: 'MAX_HANDSHAKES',
  maxNodes: 'MAX_NODES',
  maxHeartbeatsPerSecond: 'MAX_HEARTBEATS_PER_SECOND',
  heartbeatIntervalMax: 'HEARTBEAT_INTERVAL_MAX',
  dialects: 'DIALECTS',
  openDialects: 'OPEN_DIALECTS',
  dialectTiming: 'DIALECT_TIMING',
  allowedOrigins: 'ALLOWED_ORIGINS',
  trustProxy: 'TRUST_PROXY',
  docs: 'DOCS',
  logLevel: 'LOG_LEVEL',
} as const;

type Flags = Partial<Record<keyof typeof flags | 'dev', string | boolean>>;

/** The flags that a hub's settings have, for `hub` and `up`, which is always one hub that serves all. */
export function withHubFlags(command: Command, { alone = false } = {}): Command {
  if (!alone)
    command
      .option(
        '--serve <whom>',
        'agents, dashboards (with page and API) or all; with Redis (SERVE, default all)',
      )
      .option(
        '--workers <count>',
        'so many hubs on one port, a process each, or auto for one a core; with Redis (WORKERS, default 1)',
      );
  return command
    .option('--host <address>', 'address to listen on (HOST, default 127.0.0.1)')
    .option('--port <port>', 'port to listen on, 0 for any (PORT, default 8080)')
    .option(
      '--redis-url <url>',
      'redis://…, rediss://…, a comma list for Cluster, redis+sentinel://…/name (REDIS_URL; without it the fleet is kept in memory)',
    )
    .option('--key-prefix <prefix>', 'first part of every key in Redis (KEY_PREFIX, default fleet)')
    .option(
      '--shards <count>',
      'logical shards, a power of two, for ever the same in one Redis (SHARDS, default 16)',
    )
    .option(
      '--heartbeat-interval <duration>',
      'how often agents beat, such as 10s (HEARTBEAT_INTERVAL, default 10s)',
    )
    .option(
      '--heartbeat-timeout <duration>',
      'silence after which a node is offline (HEARTBEAT_TIMEOUT, default 30s)',
    )
    .option(
      '--admit-per-second <count>',
      'agents let in each second, four times as many at once (ADMIT_PER_SECOND, default 5000)',
    )
    .option(
      '--max-handshakes <count>',
      'agents that may be connecting and registering at a time (MAX_HANDSHAKES, default 20000)',
    )
    .option(
      '--max-nodes <count>',
      'nodes that the fleet may have; beyond it no new one is registered (MAX_NODES, default 100000)',
    )
    .option(
      '--max-heartbeats-per-second <count>',
      'of the whole fleet, all hubs together: beyond it agents are told a longer interval (MAX_HEARTBEATS_PER_SECOND, default off)',
    )
    .option(
      '--heartbeat-interval-max <duration>',
      'and at most this one (HEARTBEAT_INTERVAL_MAX, default 1m)',
    )
    .option(
      '--dialects <list>',
      'protocols of other control planes whose agents work here unchanged, or none (DIALECTS, default connect,gpu-node,fleet-manager,game-host)',
    )
    .option(
      '--open-dialects <list>',
      'those of them that need no token, and from where, such as fleet-manager@10.0.0.0/8 (OPEN_DIALECTS)',
    )
    .option(
      '--dialect-timing <list>',
      'how often their agents beat, and when they are offline, such as connect=30s/90s,gpu-node=10s/30s (DIALECT_TIMING)',
    )
    .option('--allowed-origins <list>', 'origins of other pages that may connect (ALLOWED_ORIGINS)')
    .option(
      '--docs <yes|no>',
      'whether /docs, /openapi.json and /asyncapi.json are served (DOCS, default yes)',
    )
    .option(
      '--trust-proxy [networks]',
      'proxies whose X-Forwarded-For or Forwarded is believed, such as 10.0.0.5; alone: any in a private network (TRUST_PROXY)',
    )
    .option(
      '--log-level <level>',
      'trace, debug, info, warn, error, fatal or silent (LOG_LEVEL, default info)',
    )
    .option('--dev', '1 s heartbeats, 3 s timeout, debug logs');
}

/** Settings of flags over environment. Throws `UsageError`. */
export function hubSettings(
  given: Flags,
  environment: Environment,
  warn?: (line: string) => void,
): HubSettings {
  const merged: Record<string, string | undefined> = {
    ...environment,
    ...(given.dev === true && DEV_SETTINGS),
  };
  for (const [flag, name] of Object.entries(flags)) {
    const value = Object.entries(given).find(([key]) => key === flag)?.[1];
    if (value !== undefined) merged[name] = String(value);
  }
  try {
    return readHubSettings(merged, (path) => readFileSync(path, 'utf8'), warn);
  } catch (error) {
    throw error instanceof SettingsError ? new UsageError(error.message) : error;
  }
}

/** Logs what is to be written otherwise, each in a line. */
export function warnOfOldSettings(changes: readonly string[], log: Log): void {
  for (const change of changes)
    log.warn({ change }, 'A setting is written in a way that the next version does not read');
}

/** Starts a hub for a command: what the operator can mend becomes one line. */
export async function startHubOrSay(settings: HubSettings, log: Log): Promise<Hub> {
  // Loaded here, because it takes longer than all other commands together, which do not need it.
  const { startHub } = await import('../server/hub.ts');
  warnOfOpenFiles(process.env, log);
  try {
    return await startHub(settings, { log });
  } catch (error) {
    if (error instanceof SettingsError || error instanceof StoreRefusedError) {
      throw new UsageError(error.message);
    }
    throw error;
  }
}

/** One hub in this process until it is told to stop. */
async function runHub(settings: HubSettings, log: Logger, read: () => HubSettings): Promise<void> {
  const hub = await startHubOrSay(settings, log);
  // Before it says that it is there, so that whoever waits for those words can stop it.
  const ended = untilSignal({ reload: reloader(settings, { read, use: takeUp(log, hub), log }) });
  const { hubId, url } = hub;
  log.info({ hubId, url, store: settings.REDIS_URL ? 'redis' : 'memory' }, 'Hub listening');
  const end = await Promise.race([ended, hub.refused]);
  const why = typeof end === 'string' ? { signal: end } : { why: end.message };
  log.info({ hubId, ...why }, 'Hub stopping: agents are told to reconnect, their nodes stay as they are');
  if (typeof end !== 'string') forceTheEnd();
  await hub.stop();
  log.info({ hubId }, 'Hub stopped');
  if (typeof end !== 'string') throw new UsageError(end.message);
}

/** `rollcall hub`: one hub, or several on one port. */
export function hubCommand(): Command {
  return withHubFlags(new Command('hub'))
    .description('run one hub, or several on one port; with Redis, any number of them share a fleet')
    .addHelpText('after', settingsHelp)
    .action(async (given: Flags) => {
      outliveEarlyReload();
      const environment = takeEnvironment();
      const read = (): HubSettings => hubSettings(given, environment);
      const warnings: string[] = [];
      const settings = hubSettings(given, environment, (line) => warnings.push(line));
      const log = await createLogger(settings.LOG_LEVEL);
      if (cluster.isPrimary) warnOfOldSettings(warnings, log);
      if (settings.WORKERS === 1) await runHub(settings, log, read);
      else if (cluster.isPrimary) {
        await runGroup(settings.WORKERS, log, {
          secrets: secretsOf(environment),
          reloader: (tellWorkers) => {
            const use = (changed: HubSettings): void => {
              setLogLevel(log, changed.LOG_LEVEL);
              tellWorkers();
            };
            return reloader(settings, { read, use, log });
          },
        });
      } else {
        await runWorker(settings, log, (hub) => reloader(settings, { read, use: takeUp(log, hub), log }));
      }
    });
}

/** What a running hub takes up of settings that were read again. */
const takeUp = (log: Logger, hub?: Hub) => (settings: HubSettings) => {
  setLogLevel(log, settings.LOG_LEVEL);
  hub?.reload(settings);
};

/** What the flags do not show, for `--help`. */
export const settingsHelp = `
Environment only (a token on a command line is seen by every user of the machine):
  AGENT_TOKENS, AGENT_TOKENS_FILE          tokens of agents, a comma list so that one can be rotated
  DASHBOARD_TOKENS, DASHBOARD_TOKENS_FILE  tokens of dashboards and readers of the API
  ADMIN_TOKENS, ADMIN_TOKENS_FILE          tokens that may remove nodes, and read
The first two are required off loopback; without them the hub answers to localhost only.
  LOG_LEVEL_FILE                           a file that holds the log level
SIGHUP has a hub, with all its workers, read these files again. Other signals stop it.

Durations are written 500ms, 10s, 3m; each timeout is at least 3 x its interval, HEARTBEAT_TIMEOUT too.

Examples:
  rollcall hub --dev
  REDIS_URL=redis://127.0.0.1:6379 rollcall hub --workers auto
  REDIS_URL=redis://127.0.0.1:6379 rollcall hub --serve agents --port 8082
  REDIS_URL=redis://127.0.0.1:6379 rollcall hub --port 8081
  HOST=0.0.0.0 AGENT_TOKENS_FILE=/run/secrets/agents DASHBOARD_TOKENS_FILE=/run/secrets/readers rollcall hub`;
