import { Command, InvalidArgumentError } from 'commander';
import type { FleetAgent } from '../agent/index.ts';
import { createMachineAgent } from '../agent/machine-agent.ts';
import { systemClock } from '../agent/session/clock.ts';
import { toAgentUrl } from '../agent/session/hub-urls.ts';
import type { Hub } from '../server/hub.ts';
import { VERSION } from '../server/runtime/version.ts';
import { formatDuration, printableLines } from '../shared/index.ts';
import { numbersOf } from '../simulate/profiles/index.ts';
import { steady } from '../simulate/profiles/steady.ts';
import { Simulation } from '../simulate/simulation.ts';
import { createLogger } from './agent-log.ts';
import { hubSettings, settingsHelp, startHubOrSay, warnOfOldSettings, withHubFlags } from './hub.ts';
import { takeEnvironment } from './secrets.ts';
import { untilSignal } from './signals.ts';
import { UsageError } from './usage-error.ts';

/** What one process with a file limit of 20,000 holds, both ends of each socket counted. */
const MOST_SIMULATED = 9_000;
const SIMULATED_PER_SECOND = 1_000;
const MACHINES_PER_RACK = 20;

function simulatedCount(text: string): number {
  const count = Number(text);
  if (/^\d{1,5}$/.test(text) && count <= MOST_SIMULATED) return count;
  throw new InvalidArgumentError(`it is a whole number up to ${MOST_SIMULATED}.`);
}

/** The hub's, but for what only several hubs need. */
const help = settingsHelp
  .split('\n')
  .filter((line) => !/--(?:workers|serve)\b/.test(line))
  .join('\n')
  .replaceAll('rollcall hub', 'rollcall up');

/** `rollcall up`: a hub and an agent of this very machine, to see the whole thing work. */
export function upCommand(): Command {
  return withHubFlags(new Command('up'), { alone: true })
    .description('run a hub and an agent of this very machine')
    .option('--simulate <count>', 'also run this many simulated agents', simulatedCount, 0)
    .addHelpText('after', help)
    .action(async (given: { simulate: number; logLevel?: string; dev?: boolean }) => {
      const { simulate, ...flags } = given;
      const environment = takeEnvironment();
      const warnings: string[] = [];
      const settings = hubSettings(flags, environment, (line) => warnings.push(line));
      if (settings.SERVE !== 'all' || settings.WORKERS !== 1)
        throw new UsageError('SERVE and WORKERS are for rollcall hub: up runs one hub, which serves all');
      // The few lines below are the picture; logs would bury it unless they were asked for.
      const quiet =
        !given.dev && given.logLevel === undefined && !environment.LOG_LEVEL && !environment.LOG_LEVEL_FILE;
      const log = await createLogger(quiet ? 'warn' : settings.LOG_LEVEL);
      warnOfOldSettings(warnings, log);
      const hub = await startHubOrSay(settings, log);
      // Before it says that it is there, so that a program that waits for those words can stop it.
      const ended = untilSignal();
      say(
        `Rollcall listens on ${hub.url}  (store: ${settings.REDIS_URL ? 'Redis' : 'memory'}, heartbeats every ${formatDuration(settings.HEARTBEAT_INTERVAL)}, offline after ${formatDuration(settings.HEARTBEAT_TIMEOUT)})`,
      );
      const token = settings.AGENT_TOKENS[0];
      const { url: hubUrl } = hub;
      const machine = await createMachineAgent({
        ...{ hubUrl, logger: log, version: VERSION },
        ...(token !== undefined && { token }),
      });
      const stopping = new AbortController();
      const { signal } = stopping;
      const simulation = simulate > 0 ? simulationOf(simulate, hubUrl, token) : undefined;
      const over = runAgents({ hub, machine, simulation, signal }).catch((error: unknown) => {
        // The start of an agent that is stopped meanwhile fails, as it should.
        if (!signal.aborted) log.error({ err: error }, 'Not all agents could be started');
      });
      await ended;
      say('Stopping.');
      stopping.abort();
      await Promise.all([machine.stop(), over]);
      await hub.stop();
    });
}

const say = (line: string): void => void process.stdout.write(`${printableLines(line)}\n`);

/** Agents that beat and nothing else, until they are ended. */
function simulationOf(agents: number, hubUrl: string, token: string | undefined): Simulation {
  const options = {
    ...{ agents, racks: Math.ceil(agents / MACHINES_PER_RACK), prefix: 'sim', hubUrls: [toAgentUrl(hubUrl)] },
    ...(token !== undefined && { token }),
    ...{ statsShare: 1, connectsPerSecond: SIMULATED_PER_SECOND, durationMs: Number.POSITIVE_INFINITY },
    ...{ seed: 1, localAddresses: [], profile: steady, numbers: numbersOf(steady, {}) },
  };
  return new Simulation({ ...options, end: 'goodbye' }, systemClock);
}

interface Agents {
  hub: Hub;
  machine: FleetAgent;
  simulation: Simulation | undefined;
  /** Ends the simulation. */
  signal: AbortSignal;
}

async function runAgents({ hub, machine, simulation, signal }: Agents): Promise<void> {
  const { node } = await machine.start();
  say(`This machine is node ${node.id}  (${node.hostname}): ${node.status}`);
  if (signal.aborted) return;
  if (!simulation) {
    say(whatNext(hub));
    return;
  }
  await simulation.run(signal, () => {
    say(`${simulation.agents.length} simulated agents are connected.`);
    say(whatNext(hub));
  });
}

function whatNext({ port }: Hub): string {
  const hub = port === 8080 ? '' : ` --hub http://127.0.0.1:${port}`;
  const next: ReadonlyArray<readonly [command: string, what: string]> = [
    [`http://127.0.0.1:${port}/`, 'the fleet, live, in a browser'],
    [`npx rollcall watch${hub}`, 'follow the fleet live'],
    [`npx rollcall agent${hub} --node-id demo-2`, 'another agent (this machine alone is one node)'],
    [`curl http://127.0.0.1:${port}/api/v1/nodes`, 'the fleet as JSON'],
    ['REDIS_URL=redis://127.0.0.1:6379 npx rollcall up', 'keep the fleet in Redis, share it between hubs'],
  ];
  const width = Math.max(...next.map(([command]) => command.length));
  const lines = next.map(([command, what]) => `  ${command.padEnd(width)}   ${what}`);
  return ['', 'What next, each in another terminal:', ...lines, 'Ctrl-C stops.'].join('\n');
}
