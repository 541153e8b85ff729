import type { CpuTimes, Machine } from './machine.ts';

/** What is known of a machine's processors (`cpu`); what is not known is left out. */
export interface CpuFacts {
  model?: string;
  sockets?: number;
  coresPerSocket?: number;
  threadsPerCore?: number;
  features?: string[];
}

/**
 * The features that placement asks for: virtualization, vector units, cryptography. A processor lists well over a
 * hundred flags, and the record of a node travels with each of its events.
 */
const notable =
  /^(?:vmx|svm|ept|npt|hypervisor|aes|pclmulqdq|vaes|sha_ni|sse4_1|sse4_2|avx|avx2|avx_vnni|avx512\w+|amx_\w+|fma|f16c|bmi2|gfni|sgx\w*|sev\w*|tdx\w*|asimd\w*|sve2?|sme2?|neon|sha[123]|sha512|crc32|atomics|bf16|i8mm)$/;

const notableOf = (flags: string): string[] => [
  ...new Set(flags.split(/\s+/).filter((flag) => notable.test(flag))),
];

/** Reads /proc/cpuinfo's text, as x86 writes it; other processors lack some of the lines. */
export function parseCpuInfo(text: string): CpuFacts {
  const values = (key: string): string[] =>
    [...text.matchAll(new RegExp(`^${key}[ \\t]*:[ \\t]*(.*)$`, 'gm'))].map((match) =>
      (match[1] ?? '').trim(),
    );
  const [model] = values('model name').filter((name) => name !== '');
  const sockets = new Set(values('physical id')).size;
  const cores = Number(values('cpu cores')[0] ?? 0);
  const siblings = Number(values('siblings')[0] ?? 0);
  const features = notableOf(values('flags')[0] ?? values('Features')[0] ?? '');
  return {
    ...(model !== undefined && { model }),
    ...(sockets > 0 && { sockets }),
    ...(cores > 0 && { coresPerSocket: cores }),
    ...(cores > 0 && siblings >= cores && { threadsPerCore: Math.floor(siblings / cores) }),
    ...(features.length > 0 && { features }),
  };
}

/** From /proc/cpuinfo; where that lacks the topology, from systeminformation. */
export async function cpuFacts(machine: Machine): Promise<CpuFacts> {
  const model = machine.cpuModels().find((name) => name !== '' && name !== 'unknown');
  const known: CpuFacts = {
    ...(model !== undefined && { model }),
    ...(await machine.readText('/proc/cpuinfo').then(parseCpuInfo, () => ({}))),
  };
  if (known.coresPerSocket !== undefined) return known;
  return { ...(await asked(machine).catch(() => ({}))), ...known };
}

async function asked(machine: Machine): Promise<CpuFacts> {
  const { brand, sockets, physicalCores, threads, flags } = await machine.cpuTopology();
  const count = Math.max(1, sockets);
  const features = notableOf(flags);
  return {
    ...(brand !== '' && { model: brand }),
    sockets: count,
    ...(physicalCores > 0 && { coresPerSocket: Math.max(1, Math.floor(physicalCores / count)) }),
    ...(physicalCores > 0 && { threadsPerCore: Math.max(1, Math.floor(threads / physicalCores)) }),
    ...(features.length > 0 && { features }),
  };
}

/** Reads the sum over all processors from /proc/stat: cheaper than asking each of hundreds. */
export function parseProcStat(text: string): CpuTimes | undefined {
  const line = /^cpu +(.*)$/m.exec(text)?.[1];
  // user nice system idle iowait irq softirq steal; what follows (guest) is already in user.
  const times = line?.trim().split(/ +/, 8).map(Number);
  if (times === undefined || times.length < 4 || times.some(Number.isNaN)) return undefined;
  const total = times.reduce((sum, time) => sum + time, 0);
  const idle = (times[3] ?? 0) + (times[4] ?? 0);
  return { busy: total - idle, total };
}

/** How busy the processors were between two readings, 0 to 100; null where they cannot tell. */
export function cpuPercent(before: CpuTimes | undefined, after: CpuTimes): number | null {
  if (before === undefined || after.total <= before.total) return null;
  const share = (after.busy - before.busy) / (after.total - before.total);
  return Math.min(100, Math.max(0, 100 * share));
}
