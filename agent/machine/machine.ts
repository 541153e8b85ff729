import { execFile } from 'node:child_process';
import { readFile, statfs } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import { promisify } from 'node:util';

/** One network interface's address. */
export interface InterfaceAddress {
  /** The name of the interface, such as eth0. */
  name?: string;
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
 * Everything that telemetry asks of a machine, so that tests can ask another one. Each may throw or hang: the caller
 * guards it.
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

/**
 * All that a program gets that the agent starts. The agent's own environment may hold its token, and `/proc` shows it to
 * every program of the same user.
 */
function childEnvironment(): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR, TEMP, SystemRoot, ComSpec, PATHEXT, LD_LIBRARY_PATH } = process.env;
  const given = { PATH, HOME, TMPDIR, TEMP, SystemRoot, ComSpec, PATHEXT, LD_LIBRARY_PATH };
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    LC_ALL: 'C',
  };
}

async function runChild(program: string, args: string[]): Promise<string> {
  const { stdout } = await run(program, args, {
    timeout: CHILD_TIMEOUT_MS,
    killSignal: 'SIGKILL',
    env: childEnvironment(),
  });
  return stdout;
}

/**
 * Asks systeminformation in a process of its own: it is large, it starts programs with the environment that it finds, and
 * it runs nvidia-smi synchronously and without a deadline, which hangs on a machine with a broken driver.
 */
async function systemInformation(what: 'uuid' | 'cpu' | 'graphics'): Promise<Record<string, unknown>> {
  const library = createRequire(import.meta.url).resolve('systeminformation');
  const script = `require(${JSON.stringify(library)}).${what}().then((found) => console.log(JSON.stringify(found)))`;
  const found: unknown = JSON.parse(await runChild(process.execPath, ['-e', script]));
  return typeof found === 'object' && found !== null ? { ...found } : {};
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

async function graphics(): Promise<GpuController[]> {
  const { controllers } = await systemInformation('graphics');
  return Array.isArray(controllers) ? controllers : [];
}

/** The machine that this process runs on. */
export const thisMachine: Machine = {
  platform: process.platform,
  hostname: () => os.hostname(),
  readText: (path) => readFile(path, 'utf8'),
  addresses: () =>
    Object.entries(os.networkInterfaces()).flatMap(([name, list = []]) =>
      list.map((one) => ({ ...one, name })),
    ),
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
    const { os: id, hardware } = await systemInformation('uuid');
    return textOf(id) || textOf(hardware);
  },
  async cpuTopology() {
    const { brand, processors, physicalCores, cores, flags } = await systemInformation('cpu');
    const counts = {
      sockets: Number(processors),
      physicalCores: Number(physicalCores),
      threads: Number(cores),
    };
    return { brand: textOf(brand), ...counts, flags: textOf(flags) };
  },
  graphics,
  nvidiaSmi: () => runChild('nvidia-smi', []),
};
