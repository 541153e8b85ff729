import { isDeepStrictEqual } from 'node:util';
import type { AgentSettings } from '../agent/config/settings.ts';
import { type AgentNode, type FleetAgent, FleetAgentError } from '../agent/index.ts';
import type { Log } from '../server/runtime/log.ts';
import { UsageError } from './usage-error.ts';

/** What a running agent takes up; anything else is another node, another hub, or fixed at its start. */
const LIVE = [
  ...([
    'labels',
    'kind',
    'location',
    'roles',
    'pools',
    'capabilities',
    'capacity',
    'metadata',
    'address',
  ] as const),
  ...(['token', 'heartbeatInterval', 'deregisterOnExit', 'logLevel'] as const),
] as const;
const live: ReadonlySet<string> = new Set(LIVE);

interface Reloading {
  agent: FleetAgent;
  /** Reads the settings as at the start. Throws `UsageError`. */
  read: () => AgentSettings;
  /** What is said of this machine by these settings. */
  describe: (settings: AgentSettings) => Promise<AgentNode>;
  /** The settings that are in force from now on. */
  use: (settings: AgentSettings) => void;
  log: Log;
}

/** Reads the settings again, one reading after the other. What is wrong changes nothing, and is said. */
export function agentReloader(
  started: AgentSettings,
  { agent, read, describe, use, log }: Reloading,
): () => void {
  let current = started;
  const reload = async (): Promise<void> => {
    try {
      const { next, changed, needsRestart } = merged(current, read());
      const { token, heartbeatInterval } = next;
      agent.reconfigure({
        node: await describe(next),
        ...(token !== undefined && { token }),
        ...(heartbeatInterval !== undefined && { heartbeat: { intervalMs: heartbeatInterval } }),
      });
      current = next;
      use(next);
      log.info({ changed, ...(needsRestart.length > 0 && { needsRestart }) }, 'Settings read again');
    } catch (error) {
      if (!(error instanceof UsageError) && !(error instanceof FleetAgentError)) throw error;
      log.error({ problem: error.message }, 'Settings cannot be read again: those of before stay');
    }
  };
  let running = Promise.resolve();
  return () => {
    running = running.then(reload).catch((error: unknown) => {
      log.error({ err: error }, 'Settings could not be taken up');
    });
  };
}

/** What may change now, over what must stay. */
function merged(before: AgentSettings, read: AgentSettings) {
  const names = [...new Set([...Object.keys(before), ...Object.keys(read)])];
  const value = (settings: AgentSettings, name: string): unknown =>
    Object.entries(settings).find(([key]) => key === name)?.[1];
  const different = names.filter((name) => !isDeepStrictEqual(value(before, name), value(read, name)));
  const changed = different.filter((name) => live.has(name));
  const next: AgentSettings = { ...read, hubUrl: before.hubUrl };
  for (const name of [
    'nodeId',
    'hostname',
    'port',
    'diskPaths',
    'answerTimeout',
    'maxHeartbeatFailures',
  ] as const) {
    delete next[name];
    Object.assign(next, before[name] !== undefined && { [name]: before[name] });
  }
  return { next, changed, needsRestart: different.filter((name) => !live.has(name)) };
}
