import type { NodeStats } from '../shared/index.ts';
import type { AgentNode, FleetAgentOptions } from './agent-options.ts';
import { FleetAgent } from './fleet-agent.ts';
import { type MachineFactsOptions, machineFacts } from './telemetry/facts.ts';
import { MachineStats } from './telemetry/stats.ts';

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
  /** The version of this program, for the node's `agent` field. */
  version?: string;
}

/**
 * An agent of this machine, with its real facts and live figures; not started yet. Gathering the facts takes up
 * to 8 s where a probe hangs. Throws a `FleetAgentError` `invalid_options`.
 */
export async function createMachineAgent(options: MachineAgentOptions): Promise<FleetAgent> {
  const { hubUrl, token, logger, clock, random, machine, port, node, intervalMs, version } = options;
  const facts = await machineFacts({
    ...(port !== undefined && { port }),
    ...(machine && { machine }),
    ...(clock && { clock }),
  });
  const { answerTimeoutMs, mostMisses } = options;
  const stats = new MachineStats(machine, clock);
  return new FleetAgent({
    hubUrl,
    node: {
      ...facts,
      ...(version !== undefined && { agent: { name: 'rollcall-agent', version } }),
      ...node,
    },
    stats: (): Promise<NodeStats> => stats.read(),
    ...(token !== undefined && { token }),
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
