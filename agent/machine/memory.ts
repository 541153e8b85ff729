import type { Confinement } from './cgroup.ts';
import type { Machine } from './machine.ts';

const MIB = 1024 * 1024;

/** What is kept back for the system: a sixteenth (245,760 of 262,144 MiB are left). */
const RESERVED_SHARE = 1 / 16;

/** Memory in MiB. `allocatableMib`: what can be given to work, within the process's own limit if it has one. */
export interface MemoryFacts {
  totalMib: number;
  allocatableMib: number;
}

export function memoryFacts(machine: Machine, { memory }: Confinement = {}): MemoryFacts {
  const hostBytes = machine.totalMemoryBytes();
  const totalBytes = memory ? Math.min(hostBytes, memory.limitBytes) : hostBytes;
  const limitBytes = machine.constrainedMemoryBytes();
  const usableBytes = limitBytes > 0 ? Math.min(totalBytes, limitBytes) : totalBytes;
  return {
    totalMib: Math.round(totalBytes / MIB),
    allocatableMib: Math.floor((usableBytes * (1 - RESERVED_SHARE)) / MIB),
  };
}

/** Reads MemTotal and MemAvailable of /proc/meminfo, in MiB. */
export function parseMemInfo(text: string): { totalMib: number; availableMib: number } | undefined {
  const kib = (key: string): number => Number(new RegExp(`^${key}: +(\\d+) kB$`, 'm').exec(text)?.[1]);
  const total = kib('MemTotal');
  const available = kib('MemAvailable');
  if (!(total > 0) || Number.isNaN(available)) return undefined;
  return { totalMib: total / 1024, availableMib: available / 1024 };
}

/** Memory now, in MiB: that of the container, else from /proc/meminfo, else from the operating system's own call. */
export async function readMemory(
  machine: Machine,
  { memory }: Confinement = {},
): Promise<{ totalMib: number; availableMib: number }> {
  const parsed = await machine.readText('/proc/meminfo').then(parseMemInfo, () => undefined);
  const host = parsed ?? {
    totalMib: machine.totalMemoryBytes() / MIB,
    availableMib: machine.availableMemoryBytes() / MIB,
  };
  if (!memory || memory.limitBytes / MIB >= host.totalMib) return host;
  const { limitBytes, usedBytes } = memory;
  return { totalMib: limitBytes / MIB, availableMib: Math.max(0, limitBytes - usedBytes) / MIB };
}
