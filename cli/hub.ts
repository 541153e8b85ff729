import cluster from 'node:cluster';
import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import type { Logger } from 'pino';
import type { Hub } from '../server/hub.ts';
import type { Log } from '../server/runtime/log.ts';
import {
  type Environment,
  HUB_SETTING_TEXTS,
  type HubSettingName,
  type HubSettings,
  readHubSettings,
  SettingsError,
} from '../server/settings.ts';
import { StoreRefusedError } from '../server/store/fleet-store.ts';
import { helpOf } from '../shared/setting-text.ts';
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

/** As commander calls the flag of a setting: `HEARTBEAT_INTERVAL` is `heartbeatInterval`. */
type CamelCase<Name extends string> = Name extends `${infer First}_${infer Rest}`
  ? `${Lowercase<First>}${Capitalize<CamelCase<Rest>>}`
  : Lowercase<Name>;

type Flags = Partial<Record<CamelCase<HubSettingName> | 'dev', string | boolean>>;

/** What a single hub, such as that of `up`, cannot do. */
const OF_GROUPS: ReadonlySet<string> = new Set(['SERVE', 'WORKERS'] satisfies HubSettingName[]);

/** The flags that a hub's settings have, for `hub` and `up`, which is always one hub that serves all. */
export function withHubFlags(command: Command, { alone = false } = {}): Command {
  for (const setting of HUB_SETTING_TEXTS) {
    if (setting.flag === undefined || (alone && OF_GROUPS.has(setting.name))) continue;
    command.option(`${setting.flag} ${setting.takes}`, helpOf(setting));
  }
  return command.option('--dev', '1 s heartbeats, 3 s timeout, debug logs');
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
  for (const { name, flag } of HUB_SETTING_TEXTS) {
    const key = flag && new Option(flag).attributeName();
    const value = Object.entries(given).find(([given]) => given === key)?.[1];
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
  // Before it says that it is there, so that a program that waits for those words can stop it.
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
