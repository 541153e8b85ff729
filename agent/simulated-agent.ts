import type { FleetAgentOptions } from './session/agent-options.ts';
import { FleetAgent } from './session/fleet-agent.ts';
import { driftingStats, simulatedNode } from './simulated-node.ts';

export type SimulatedAgentOptions = Pick<
  FleetAgentOptions,
  'hubUrl' | 'token' | 'logger' | 'random' | 'clock' | 'localAddress'
>;

/**
 * The simulated agent `index` (from 1): a real WebSocket client with an invented machine, `sim-0001` and so on, with
 * the same id at each start. Not started yet; thousands of them fit into one process.
 */
export function createSimulatedAgent(index: number, options: SimulatedAgentOptions): FleetAgent {
  const node = simulatedNode(index);
  const totalMib = Number(node.memory?.totalMib ?? 0);
  return new FleetAgent({ ...options, node, stats: driftingStats(totalMib, options.random, options.clock) });
}
