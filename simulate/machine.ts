import { randomUUID } from 'node:crypto';
import { AGENT_PROTOCOL, type RegisterInput } from '../shared/index.ts';
import { pingFrame, textFrame } from './frames.ts';
import { driftingStats, simulatedNode } from './simulated-node.ts';

/** How many different stats there are: prebuilt, so that the load costs the simulator little. */
const VARIANTS = 64;
const MEMORY_MIB = 131_072;
const zones = ['a', 'b', 'c'] as const;

/** What all machines of a simulation share. */
export interface Site {
  prefix: string;
  /** Racks over which the agents are spread evenly. */
  racks: number;
  /** The interval to ask for. */
  intervalMs?: number;
}

/** The label by which everything of a simulation is found: `simulation=<prefix>`. */
export const SIMULATION_LABEL = 'simulation';

/** Ids count from 1 and stay the same from run to run. */
const nodeIdOf = (prefix: string, index: number): string => `${prefix}-${index + 1}`;
export const rackOf = (index: number, racks: number): number => index % racks;
export const rackName = (rack: number): string => `rack-${rack + 1}`;

/** The registration of agent `index` (from 0): a machine of the simulated fleet, in its rack and zone. */
function registration(index: number, instanceId: string, site: Site): RegisterInput {
  const { prefix, racks, intervalMs } = site;
  const nodeId = nodeIdOf(prefix, index);
  const rack = rackOf(index, racks);
  const zone = zones[rack % zones.length] ?? zones[0];
  return {
    type: 'register',
    protocol: AGENT_PROTOCOL,
    instanceId,
    ...(intervalMs !== undefined && { heartbeat: { intervalMs } }),
    node: {
      ...simulatedNode(index + 1),
      nodeId,
      hostname: nodeId,
      location: `sim-dc-${zone}`,
      labels: { zone, rack: rackName(rack), [SIMULATION_LABEL]: prefix },
      agent: { name: 'rollcall-simulate', version: '1' },
    },
  };
}

export function registrationFrame(index: number, instanceId: string, site: Site): Buffer {
  return textFrame(JSON.stringify(registration(index, instanceId, site)));
}

export const newInstance = (): string => randomUUID();

/** A beat with stats as the agent program sends it: the ping, and the figures behind it. Some of each to choose from. */
export function statsBeats(random: () => number): readonly Buffer[] {
  return Array.from({ length: VARIANTS }, () => {
    const stats = driftingStats(MEMORY_MIB, random)();
    const message = JSON.stringify({ type: 'stats', stats });
    return Buffer.concat([pingFrame, textFrame(message)]);
  });
}

export const deregisterFrame = textFrame(
  JSON.stringify({ type: 'deregister', reason: 'the simulation is over' }),
);
