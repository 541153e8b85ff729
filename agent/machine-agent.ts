import type { NodeStats } from '../shared/index.ts';
import { managementAddress, parseDefaultInterface } from './machine/address.ts';
import { type MachineFactsOptions, machineFacts } from './machine/facts.ts';
import { type Machine, thisMachine } from './machine/machine.ts';
import { MachineStats } from './machine/stats.ts';
import type { AgentNode, FleetAgentOptions } from './session/agent-options.ts';
import { FleetAgent } from './session/fleet-agent.ts';

export interface MachineAgentOptions
  extends Pick<FleetAgentOptions, 'hubUrl' | 'token' | 'logger' | 'clock' | 'random'>,
    Pick<MachineFactsOptions, 'machine' | 'port'> {
  /** What is known better than the machine knows it: id, labels, kind, another hostname or address … */
  node?: Partial<AgentNode>;
  /** The heartbeat interval to ask for, in milliseconds; default: the hub's. */
  intervalMs?: number;
  /** How long one answer of the hub may take, to a connection or a registration; in milliseconds. */
  answerTimeoutMs?: number;
  /** Pings in a row without an answer that mean that the hub is gone. */
  mostMisses?: number;
  /** Where the disks that matter are mounted. */
  diskPaths?: readonly string[];
  /** The way to a hub that is not reached directly. */
  agentFor?: FleetAgentOptions['agentFor'];
  /** The version of this program, for the node's `agent` field. */
  version?: string;
}

/** What is said of this machine: what was found, and over it what is known better. The address is found later. */
export async function machineNode(
  options: Pick<MachineAgentOptions, 'clock' | 'machine' | 'node' | 'version'>,
): Promise<AgentNode> {
  const { clock, machine, node, version } = options;
  const { address: _, ...facts } = await machineFacts({
    ...(machine && { machine }),
    ...(clock && { clock }),
  });
  return {
    ...facts,
    ...(version !== undefined && { agent: { name: 'rollcall-agent', version } }),
    ...node,
  };
}

/**
 * An agent of this machine, with its real facts and live figures; not started yet. Gathering the facts takes up
 * to 8 s where a probe hangs. Throws a `FleetAgentError` `invalid_options`.
 */
export async function createMachineAgent(options: MachineAgentOptions): Promise<FleetAgent> {
  const { hubUrl, token, logger, clock, random, machine, port, intervalMs, diskPaths } = options;
  const { answerTimeoutMs, mostMisses } = options;
  const stats = new MachineStats(machine, clock, diskPaths && { diskPaths });
  return new FleetAgent({
    hubUrl,
    node: await machineNode(options),
    addressOf: addressFinder(machine, port),
    stats: (): Promise<NodeStats> => stats.read(),
    ...(token !== undefined && { token }),
    ...(options.agentFor && { agentFor: options.agentFor }),
    ...(logger && { logger }),
    ...(clock && { clock }),
    ...(random && { random }),
    ...(intervalMs !== undefined && { heartbeat: { intervalMs } }),
    ...(answerTimeoutMs !== undefined && {
      handshakeTimeoutMs: answerTimeoutMs,
      registerTimeoutMs: answerTimeoutMs,
    }),
    ...(mostMisses !== undefined && { mostMisses }),
  });
}

/** How this machine is reached, as its interfaces are now and its default route was when it was asked last. */
function addressFinder(machine: Machine = thisMachine, port?: number) {
  let defaultInterface: string | undefined;
  const readRoute = (): void => {
    machine.readText('/proc/net/route').then(
      (text) => {
        defaultInterface = parseDefaultInterface(text);
      },
      () => {},
    );
  };
  readRoute();
  return (localAddress: string | undefined): string => {
    readRoute();
    return managementAddress(machine.addresses(), port, { localAddress, defaultInterface });
  };
}
