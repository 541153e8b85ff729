import type { Machine } from '../../../agent/index.ts';

const missing = (path: string): Promise<never> => Promise.reject(new Error(`ENOENT ${path}`));

/** A machine made of these files; what a test needs beyond that it puts over it. */
export function fakeMachine(files: Record<string, string> = {}, over: Partial<Machine> = {}): Machine {
  return {
    platform: 'linux',
    hostname: () => 'hypervisor-01.local',
    readText: async (path) => files[path] ?? missing(path),
    addresses: () => [],
    totalMemoryBytes: () => 262_144 * 1024 * 1024,
    availableMemoryBytes: () => 163_840 * 1024 * 1024,
    constrainedMemoryBytes: () => 0,
    cpuModels: () => [],
    cpuTimes: () => ({ busy: 0, total: 0 }),
    uptimeSeconds: () => 86_400.9,
    diskPercent: async () => 23.44,
    systemId: async () => '',
    cpuTopology: () => missing('lscpu'),
    graphics: async () => [],
    nvidiaSmi: () => missing('nvidia-smi'),
    ...over,
  };
}
