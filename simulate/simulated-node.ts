import type { AgentNode } from '../agent/session/agent-options.ts';
import { type AgentClock, systemClock } from '../agent/session/clock.ts';
import type { NodeStats } from '../shared/index.ts';

interface Model {
  kind: string;
  cpu: { model: string; sockets: number; coresPerSocket: number; threadsPerCore: number; features: string[] };
  memoryMib: number;
  extra: Partial<AgentNode>;
}

/** The kinds of the simulated fleet: hypervisors, GPU nodes, hosts of game servers, edge devices. Memory in MiB. */
const models: readonly [Model, ...Model[]] = [
  {
    kind: 'hypervisor',
    cpu: {
      model: 'Intel Xeon E5-2680 v4',
      sockets: 2,
      coresPerSocket: 14,
      threadsPerCore: 2,
      features: ['vmx', 'avx2'],
    },
    memoryMib: 262_144,
    extra: { roles: ['compute'] },
  },
  {
    kind: 'gpu',
    cpu: {
      model: 'AMD EPYC 9354',
      sockets: 1,
      coresPerSocket: 32,
      threadsPerCore: 2,
      features: ['svm', 'avx512f'],
    },
    memoryMib: 524_288,
    extra: {
      roles: ['inference'],
      pools: ['pool-0'],
      capabilities: { gpuCount: 2, totalVramMib: 48_000, cudaVersion: '12.1' },
    },
  },
  {
    kind: 'game-server',
    cpu: {
      model: 'AMD Ryzen 9 7950X',
      sockets: 1,
      coresPerSocket: 16,
      threadsPerCore: 2,
      features: ['svm', 'avx2'],
    },
    memoryMib: 131_072,
    extra: { roles: ['game'], capacity: { maxServers: 20 } },
  },
  {
    kind: 'edge',
    cpu: {
      model: 'Cortex-A76',
      sockets: 1,
      coresPerSocket: 4,
      threadsPerCore: 1,
      features: ['asimd', 'aes'],
    },
    memoryMib: 8_192,
    extra: { roles: ['sensor'], capabilities: ['dht22', 'mqtt'] },
  },
];

const zones = ['a', 'b', 'c'] as const;
/** A rack holds this many machines of one zone. */
const RACK_SIZE = 20;

/** The entry at `index`, going round. */
const pick = <T>(list: readonly [T, ...T[]], index: number): T => list[index % list.length] ?? list[0];

/** What the simulated machine `index` (from 1) says of itself: the same at each start. */
export function simulatedNode(index: number): AgentNode {
  const hostname = `sim-${String(index).padStart(4, '0')}`;
  // The kind changes once per round of zones, so that each zone has all kinds.
  const { kind, cpu, memoryMib, extra } = pick(models, Math.floor(index / zones.length));
  const zone = pick(zones, index);
  const rack = Math.floor(index / (zones.length * RACK_SIZE)) + 1;
  return {
    nodeId: hostname,
    hostname,
    kind,
    address: `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}:9090`,
    location: `sim-dc-${zone}`,
    labels: { zone, rack: `rack-${zone}${rack}`, simulated: 'true' },
    cpu: { ...cpu },
    memory: { totalMib: memoryMib, allocatableMib: (memoryMib / 16) * 15 },
    ...extra,
  };
}

/** Live figures that wander a little from call to call, like those of a machine at work. */
export function driftingStats(
  totalMib: number,
  random: () => number = Math.random,
  clock: AgentClock = systemClock,
): () => NodeStats {
  let cpuPercent = 10 + random() * 50;
  let memoryPercent = 30 + random() * 40;
  let diskPercent = 20 + random() * 50;
  const startedMs = clock.nowMs();
  const drift = (value: number, by: number): number =>
    Math.min(98, Math.max(1, value + (random() - 0.5) * by));
  const tenth = (value: number): number => Math.round(value * 10) / 10;
  return () => {
    cpuPercent = drift(cpuPercent, 12);
    memoryPercent = drift(memoryPercent, 2);
    diskPercent = drift(diskPercent, 0.2);
    return {
      cpuPercent: tenth(cpuPercent),
      memoryUsedMib: Math.round((totalMib * memoryPercent) / 100),
      memoryTotalMib: totalMib,
      memoryPercent: tenth(memoryPercent),
      diskPercent: tenth(diskPercent),
      uptimeSeconds: Math.round((clock.nowMs() - startedMs) / 1_000),
    };
  };
}
