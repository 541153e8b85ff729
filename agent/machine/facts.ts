import type { AgentNode } from '../session/agent-options.ts';
import { type AgentClock, systemClock } from '../session/clock.ts';
import { managementAddress } from './address.ts';
import { CgroupReader } from './cgroup.ts';
import { cpuFacts } from './cpu.ts';
import { within } from './deadline.ts';
import { gpuCapabilities } from './gpu.ts';
import { type Machine, thisMachine } from './machine.ts';
import { hashedMachineId } from './machine-id.ts';
import { memoryFacts } from './memory.ts';

/** For each probe. They run at the same time, so this bounds a start too. */
const PROBE_TIMEOUT_MS = 8_000;

/** Its files are read at once or never. */
const CGROUP_TIMEOUT_MS = 2_000;

export interface MachineFactsOptions {
  /** Goes behind the detected management address. */
  port?: number;
  machine?: Machine;
  clock?: AgentClock;
}

/**
 * The facts of this machine as a registration carries them: hostname, management address, hashed machine id,
 * CPU, memory, and GPUs as capabilities. Never throws, and takes at most 8 s; what cannot be found is left out.
 */
export async function machineFacts(options: MachineFactsOptions = {}): Promise<AgentNode> {
  const { port, machine = thisMachine, clock = systemClock } = options;
  const [hostname, address, machineId, cpu, memory, capabilities] = await Promise.all([
    within(clock, PROBE_TIMEOUT_MS, async () => machine.hostname()),
    within(clock, PROBE_TIMEOUT_MS, async () => managementAddress(machine.addresses(), port)),
    within(clock, PROBE_TIMEOUT_MS, () => hashedMachineId(machine)),
    within(clock, PROBE_TIMEOUT_MS, () => cpuFacts(machine)),
    within(clock, PROBE_TIMEOUT_MS, async () => {
      const cgroup = new CgroupReader((path) => machine.readText(path));
      return memoryFacts(machine, await within(clock, CGROUP_TIMEOUT_MS, () => cgroup.confinement()));
    }),
    within(clock, PROBE_TIMEOUT_MS, () => gpuCapabilities(machine)),
  ]);
  return {
    hostname: hostname || 'localhost',
    address: address ?? managementAddress([], port),
    ...(machineId !== undefined && { machineId }),
    ...(cpu !== undefined && Object.keys(cpu).length > 0 && { cpu: { ...cpu } }),
    ...(memory !== undefined && { memory: { ...memory } }),
    ...(capabilities !== undefined && { capabilities }),
  };
}
