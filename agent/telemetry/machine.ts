import { execFile } from 'node:child_process';
import { readFile, statfs } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import { promisify } from 'node:util';

/** One network interface's address. */
export interface InterfaceAddress {
  family: string;
  address: string;
  internal: boolean;
}

/** Processor times since the machine started, in any unit; only their differences count. */
export interface CpuTimes {
  busy: number;
  total: number;
}

/** A graphics controller as systeminformation reports it; memory in MiB. */
export interface GpuController {
  vendor?: string;
  model?: string;
  name?: string;
  vram?: number | null;
  memoryTotal?: number;
  driverVersion?: string;
}

/**
 * Everything that telemetry asks of a machine, so that tests can ask another one. Each may throw or hang: whoever
 * asks guards it.
 */
export interface Machine {
  readonly platform: NodeJS.Platform;
  hostname(): string;
  /** A file of /proc or /etc, as text. */
  readText(path: string): Promise<string>;
  addresses(): InterfaceAddress[];
  totalMemoryBytes(): number;
  availableMemoryBytes(): number;
  /** The memory that this process is confined to, such as its container's; 0 or huge without a limit. */
  constrainedMemoryBytes(): number;
  cpuModels(): string[];
  cpuTimes(): CpuTimes;
  uptimeSeconds(): number;
  /** Used share of the disk that holds `path`, as `df` shows it. */
  diskPercent(path: string): Promise<number>;
  /** The id of the operating system's installation, where there is no /etc/machine-id. */
  systemId(): Promise<string>;
  cpuTopology(): Promise<{
    brand: string;
    sockets: number;
    physicalCores: number;
    threads: number;
    flags: string;
  }>;
  graphics(): Promise<GpuController[]>;
  /** What `nvidia-smi` prints: its header names the CUDA version of the driver. */
  nvidiaSmi(): Promise<string>;
}

const run = promisify(execFile);

/** A child that is not done by then is killed. */
const CHILD_TIMEOUT_MS = 5_000;

/** Loaded only where it is needed: it is large, and a simulated fleet never needs it. */
const systemInformation = () => import('systeminformation');

/**
 * systeminformation runs nvidia-smi synchronously and without a deadline, and nvidia-smi hangs on a machine with
 * a broken driver: in a process of its own it can hold nobody up.
 */
async function graphics(): Promise<GpuController[]> {
  const library = createRequire(import.meta.url).resolve('systeminformation');
  const script = `require(${JSON.stringify(library)}).graphics().then((g) => console.log(JSON.stringify(g.controllers)))`;
  const { stdout } = await run(process.execPath, ['-e', script], {
    timeout: CHILD_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  const controllers: unknown = JSON.parse(stdout);
  return Array.isArray(controllers) ? controllers : [];
}

/** The machine that this process runs on. */
export const thisMachine: Machine = {
  platform: process.platform,
  hostname: () => os.hostname(),
  readText: (path) => readFile(path, 'utf8'),
  addresses: () => Object.values(os.networkInterfaces()).flatMap((list) => list ?? []),
  totalMemoryBytes: () => os.totalmem(),
  availableMemoryBytes: () => os.freemem(),
  constrainedMemoryBytes: () => process.constrainedMemory(),
  cpuModels: () => os.cpus().map((cpu) => cpu.model),
  cpuTimes() {
    let busy = 0;
    let idle = 0;
    for (const { times } of os.cpus()) {
      busy += times.user + times.nice + times.sys + times.irq;
      idle += times.idle;
    }
    return { busy, total: busy + idle };
  },
  uptimeSeconds: () => os.uptime(),
  async diskPercent(path) {
    const { blocks, bfree, bavail } = await statfs(path);
    const used = blocks - bfree;
    return (100 * used) / (used + bavail);
  },
  async systemId() {
    const { os: id, hardware } = await (await systemInformation()).uuid();
    return id || hardware;
  },
  async cpuTopology() {
    const { brand, processors, physicalCores, cores, flags } = await (await systemInformation()).cpu();
    return { brand, sockets: processors, physicalCores, threads: cores, flags };
  },
  graphics,
  async nvidiaSmi() {
    const { stdout } = await run('nvidia-smi', [], { timeout: CHILD_TIMEOUT_MS, killSignal: 'SIGKILL' });
    return stdout;
  },
};
