import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { Command, Option } from 'commander';
import { fromListenAddress, NODE_DAEMON_CONFIG } from '../agent/config/node-daemon.ts';
import {
  AGENT_SETTING_TEXTS,
  type AgentSettings,
  readAgentSettings,
  SettingsError,
  type SettingsSources,
} from '../agent/config/settings.ts';
import { type AgentNode, createMachineAgent, type FleetAgent, FleetAgentError } from '../agent/index.ts';
import { machineNode } from '../agent/machine-agent.ts';
import { splitLists } from '../shared/index.ts';
import { helpOf, plainOf } from '../shared/setting-text.ts';
import { createLogger, setLogLevel } from './agent-log.ts';
import { agentReloader } from './agent-reload.ts';
import { loadProxies } from './proxy.ts';
import { type Environment, takeEnvironment } from './secrets.ts';
import { onSignals, outliveEarlyReload } from './signals.ts';
import { UsageError } from './usage-error.ts';

const listed = (names: readonly string[]): string => names.join(', ').replaceAll(/(.{80,110}?) /g, '$1\n  ');

const more = `
Every flag has an environment variable, and a key in a YAML file; flags win over variables, they over the file. A flag
for several values may be repeated, or hold a comma list (\\, is a comma in a value).
Only as variables or in the file:
${AGENT_SETTING_TEXTS.filter(({ flag }) => flag === undefined)
  .map((setting) => `  ${setting.name.padEnd(22)} ${plainOf(setting)}`)
  .join('\n')}
  ${'AGENT_TOKEN_FILE'.padEnd(22)} a file that holds the token; a token is never a flag, which others could see

HTTP_PROXY, HTTPS_PROXY and NO_PROXY are honoured; a hub on this machine is always reached directly.

The file's keys are tokenFile and
  ${listed(AGENT_SETTING_TEXTS.map(({ key }) => key))}.

SIGTERM and SIGINT say goodbye to the hub, which then shows this node as offline; a second one ends at once. SIGHUP reads
the file again: labels and other facts, the interval, the token and the log level change, the rest needs a restart.

In the place of another node agent, with its unit file as it is: --control-plane (as --hub), --register, --listen
0.0.0.0:9090 (its port goes behind the detected address), --http-listen, --dev; ORCHESTRATOR_URL, HEARTBEAT_INTERVAL=10
(seconds), HEARTBEAT_TIMEOUT=5 (how long one answer may take), MAX_HEARTBEAT_FAILURES=2; and a file with the sections
node, server and control_plane: with one of these flags /etc/limiquantix/node.yaml, where no other is named.
docs/MIGRATING.md has each of them.

Examples:
  $ rollcall agent                                         this machine, at the hub on 127.0.0.1:8080
  $ rollcall agent --hub https://hub.example --label zone=eu-1 --label rack=r42
  $ rollcall agent --hub ws://hub-1:8080,ws://hub-2:8080   the hub that answers
  $ rollcall agent --node-id demo-2 --kind edge            a second node on the same machine
  $ AGENT_TOKEN_FILE=/run/secrets/agent rollcall agent --config /etc/rollcall/agent.yaml --deregister-on-exit
`;

const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

/** What commander makes of the flags. */
interface Flags {
  hub?: string[];
  controlPlane?: string[];
  listen?: string;
  httpListen?: string;
  register?: boolean;
  dev?: boolean;
  nodeId?: string;
  hostname?: string;
  label?: string[];
  kind?: string;
  location?: string;
  role?: string[];
  pool?: string[];
  address?: string;
  port?: string;
  interval?: string;
  config?: string;
  deregisterOnExit?: boolean;
  logLevel?: string;
}

/** `rollcall agent`: the agent of this machine, until a signal ends it or an operator removes its node. */
export function agentCommand(): Command {
  // A command that is added to another does not inherit its exitOverride; without it, usage errors exit 1.
  const command = new Command('agent')
    .exitOverride()
    .description('keep this machine registered with a hub, and report its figures');
  for (const setting of AGENT_SETTING_TEXTS) {
    const { flag, takes, repeats } = setting;
    if (flag === undefined) continue;
    const option = new Option(takes === undefined ? flag : `${flag} ${takes}`, helpOf(setting));
    command.addOption(repeats ? option.argParser(collect) : option);
  }
  command
    .addOption(new Option('--control-plane <url>', 'as --hub').argParser(collect).hideHelp())
    .addOption(new Option('--register', 'always so').hideHelp())
    .addOption(
      new Option(
        '--listen <address>',
        'where the daemon listened: its port goes behind the address',
      ).hideHelp(),
    )
    .addOption(new Option('--http-listen <address>', 'not needed any more').hideHelp())
    .addOption(new Option('--dev', 'as --log-level debug').hideHelp())
    .option('--config <file>', 'a YAML file with settings (AGENT_CONFIG)')
    .addHelpText('after', more);
  return command.action(async (flags: Flags) => {
    outliveEarlyReload();
    const environment = takeEnvironment();
    await runAgent(() => agentSettings(flags, environment), command.parent?.version());
  });
}

/** Settings of flags over environment over the file. Throws `UsageError`. */
export function agentSettings(
  flags: Flags,
  env: Environment,
  readFile = (path: string) => readFileSync(path, 'utf8'),
): AgentSettings {
  const { hub, controlPlane, listen, httpListen, register, dev, ...own } = flags;
  const { label, role, pool, interval, ...same } = own;
  const given: NonNullable<SettingsSources['flags']> = {
    ...fromListenAddress(listen),
    ...(dev && { logLevel: 'debug' }),
    ...same,
    hubUrl: [...(hub ?? []), ...(controlPlane ?? [])].join(',') || undefined,
    labels: label && splitLists(label),
    roles: role && splitLists(role),
    pools: pool && splitLists(pool),
    heartbeatInterval: interval,
  };
  for (const [flag, values = []] of Object.entries({ hub, 'control-plane': controlPlane, label, role, pool }))
    if (values.some((value) => value.trim() === '')) throw new UsageError(`--${flag} must not be empty`);
  try {
    const isNodeDaemon = [controlPlane, register, listen, httpListen].some((flag) => flag !== undefined);
    return readAgentSettings({
      flags: given,
      env,
      readFile,
      ...(isNodeDaemon && { defaultConfig: NODE_DAEMON_CONFIG }),
    });
  } catch (error) {
    if (error instanceof SettingsError) throw new UsageError(error.message);
    throw error;
  }
}

/** The parts of an agent's settings that describe its node. */
function nodeOf(settings: AgentSettings): Partial<AgentNode> {
  const { hubUrl: _, token: __, port: ___, deregisterOnExit: ____, logLevel: _____, ...rest } = settings;
  const { heartbeatInterval, answerTimeout, maxHeartbeatFailures, diskPaths, ...node } = rest;
  return node;
}

/** Resolves when the agent has ended, by a signal or because its node was removed. */
async function runAgent(read: () => AgentSettings, version: string | undefined): Promise<void> {
  let settings = read();
  const { hubUrl, token, port, heartbeatInterval, answerTimeout, maxHeartbeatFailures, diskPaths } = settings;
  const logger = await createLogger(settings.logLevel);
  const own = { ...(version !== undefined && { version }) };
  const { agentFor } = await loadProxies(process.env);
  const agent = await createMachineAgent({
    hubUrl,
    node: nodeOf(settings),
    logger,
    agentFor,
    ...(token !== undefined && { token }),
    ...(port !== undefined && { port }),
    ...(diskPaths !== undefined && { diskPaths }),
    ...(heartbeatInterval !== undefined && { intervalMs: heartbeatInterval }),
    ...(answerTimeout !== undefined && { answerTimeoutMs: answerTimeout }),
    ...(maxHeartbeatFailures !== undefined && { mostMisses: maxHeartbeatFailures }),
    ...own,
  }).catch((error: unknown) => {
    if (error instanceof FleetAgentError) throw new UsageError(error.message);
    throw error;
  });
  const reload = agentReloader(settings, {
    agent,
    read,
    describe: (changed) => machineNode({ node: nodeOf(changed), ...own }),
    use: (changed) => {
      settings = changed;
      setLogLevel(logger, changed.logLevel);
    },
    log: logger,
  });
  await new Promise<void>((resolve) => {
    const stopListening = onStopSignal((signal) => {
      logger.info({ signal }, 'Stopping');
      const complain = (problem: string): void => logger.warn({ problem }, 'Not deregistered');
      void endAgent(agent, settings.deregisterOnExit, complain);
    }, reload);
    agent.on('state', ({ to }) => {
      if (to !== 'stopped') return;
      stopListening();
      resolve();
    });
    void agent.start().catch(() => {});
  });
}

async function endAgent(
  agent: FleetAgent,
  deregister: boolean,
  complain: (problem: string) => void,
): Promise<void> {
  if (deregister) {
    await agent.deregister('agent exits').catch((error: unknown) => {
      complain(error instanceof Error ? error.message : String(error));
    });
  }
  await agent.stop();
}

/** The first signal that ends is handed on; a second one ends the process at once, with the shell's exit code. */
function onStopSignal(stop: (signal: string) => void, reload: () => void): () => void {
  let stopping = false;
  return onSignals((signal) => {
    if (stopping) process.exit(128 + (constants.signals[signal] ?? 1));
    stopping = true;
    stop(signal);
  }, reload);
}
