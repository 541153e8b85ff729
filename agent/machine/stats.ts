import type { NodeStats } from '../../shared/index.ts';
import { type AgentClock, systemClock } from '../session/clock.ts';
import { CgroupReader, type Confinement } from './cgroup.ts';
import { cpuPercent, parseProcStat } from './cpu.ts';
import { within } from './deadline.ts';
import { FullestDisk } from './disks.ts';
import { type CpuTimes, type Machine, thisMachine } from './machine.ts';
import { readMemory } from './memory.ts';
import { disksThatMatter, parseMounts } from './mounts.ts';

/** The disk changes slowly, and asking it can hang: at most this often. */
const DISK_EVERY_MS = 30_000;
/** For the files of /proc, which are read at once or never. */
const READ_TIMEOUT_MS = 2_000;

const tenth = (value: number): number => Math.round(value * 10) / 10;

/**
 * The live figures of this machine, one reading per call. It has no timers of its own: the disk is asked along
 * with a reading, and the next one after it has the answer. Never throws; what cannot be read is null.
 */
export class MachineStats {
  readonly #machine: Machine;
  readonly #clock: AgentClock;
  readonly #cgroup: CgroupReader;
  readonly #disks: FullestDisk;
  readonly #diskPaths: readonly string[] | undefined;
  #confinedCpu: { usedMs: number; atMs: number } | undefined;
  #cpu: CpuTimes | undefined;
  #diskPercent: number | null = null;
  #diskAskedMs: number | undefined;
  #diskBusy = false;

  /** `diskPaths`: the disks that matter, where the machine's own choice is another. */
  constructor(
    machine: Machine = thisMachine,
    clock: AgentClock = systemClock,
    { diskPaths }: { diskPaths?: readonly string[] } = {},
  ) {
    this.#machine = machine;
    this.#clock = clock;
    this.#diskPaths = diskPaths;
    this.#cgroup = new CgroupReader((path) => machine.readText(path));
    this.#disks = new FullestDisk(clock, (path) => machine.diskPercent(path));
  }

  /** `cpuPercent` is null in the first reading, `diskPercent` until the disk has answered. */
  async read(): Promise<NodeStats> {
    this.#askDisk();
    const confined = (await within(this.#clock, READ_TIMEOUT_MS, () => this.#cgroup.confinement())) ?? {};
    const [cpu, memory] = await Promise.all([
      within(this.#clock, READ_TIMEOUT_MS, () => this.#readCpu(confined)),
      within(this.#clock, READ_TIMEOUT_MS, () => readMemory(this.#machine, confined)),
    ]);
    const usedMib = memory && Math.max(0, memory.totalMib - memory.availableMib);
    return {
      cpuPercent: cpu ?? null,
      memoryUsedMib: usedMib === undefined ? null : Math.round(usedMib),
      memoryTotalMib: memory === undefined ? null : Math.round(memory.totalMib),
      memoryPercent: memory && usedMib !== undefined ? tenth((100 * usedMib) / memory.totalMib) : null,
      diskPercent: this.#diskPercent,
      uptimeSeconds: this.#uptime(),
      at: new Date(this.#clock.wallMs()).toISOString(),
    };
  }

  async #readCpu({ cpu }: Confinement): Promise<number | null> {
    if (cpu) return this.#readConfinedCpu(cpu);
    const parsed = await this.#machine.readText('/proc/stat').then(parseProcStat, () => undefined);
    const now = parsed ?? this.#machine.cpuTimes();
    const percent = cpuPercent(this.#cpu, now);
    this.#cpu = now;
    return percent === null ? null : tenth(percent);
  }

  /** Of what it may use: 100 is the whole quota. */
  #readConfinedCpu({ cpus, usedMs }: NonNullable<Confinement['cpu']>): number | null {
    const before = this.#confinedCpu;
    const atMs = this.#clock.nowMs();
    this.#confinedCpu = { usedMs, atMs };
    if (!before || atMs <= before.atMs || usedMs < before.usedMs) return null;
    return tenth(Math.min(100, (100 * (usedMs - before.usedMs)) / ((atMs - before.atMs) * cpus)));
  }

  #uptime(): number | null {
    try {
      return Math.floor(this.#machine.uptimeSeconds());
    } catch {
      return null;
    }
  }

  /** Asks the disk, unless it was asked lately or still owes an answer. */
  #askDisk(): void {
    const nowMs = this.#clock.nowMs();
    if (this.#diskBusy || (this.#diskAskedMs !== undefined && nowMs - this.#diskAskedMs < DISK_EVERY_MS))
      return;
    this.#diskAskedMs = nowMs;
    this.#diskBusy = true;
    void this.#fullest().then((percent) => {
      this.#diskBusy = false;
      this.#diskPercent = percent === null ? null : tenth(percent);
      // One that hung may answer by the next reading.
      if (percent === null) this.#diskAskedMs = undefined;
    });
  }

  async #fullest(): Promise<number | null> {
    const paths = this.#diskPaths ?? (await this.#disksThatMatter());
    return this.#disks.percent(paths);
  }

  async #disksThatMatter(): Promise<readonly string[]> {
    if (this.#machine.platform === 'win32') return ['C:\\'];
    const read = () => this.#machine.readText('/proc/self/mountinfo');
    const text = await within(this.#clock, READ_TIMEOUT_MS, read);
    return text === undefined ? ['/'] : disksThatMatter(parseMounts(text));
  }
}
