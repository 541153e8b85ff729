import type { NodeStats } from '../../shared/index.ts';
import { type AgentClock, systemClock } from '../clock.ts';
import { cpuPercent, parseProcStat } from './cpu.ts';
import { within } from './deadline.ts';
import { type CpuTimes, type Machine, thisMachine } from './machine.ts';
import { readMemory } from './memory.ts';

/** The disk changes slowly, and asking it can hang: at most this often. */
const DISK_EVERY_MS = 30_000;
/** A disk that does not answer within this is unknown. */
const DISK_TIMEOUT_MS = 5_000;
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
  #cpu: CpuTimes | undefined;
  #diskPercent: number | null = null;
  #diskAskedMs: number | undefined;
  #diskBusy = false;

  constructor(machine: Machine = thisMachine, clock: AgentClock = systemClock) {
    this.#machine = machine;
    this.#clock = clock;
  }

  /** `cpuPercent` is null in the first reading, `diskPercent` until the disk has answered. */
  async read(): Promise<NodeStats> {
    this.#askDisk();
    const [cpu, memory] = await Promise.all([
      within(this.#clock, READ_TIMEOUT_MS, () => this.#readCpu()),
      within(this.#clock, READ_TIMEOUT_MS, () => readMemory(this.#machine)),
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

  async #readCpu(): Promise<number | null> {
    const parsed = await this.#machine.readText('/proc/stat').then(parseProcStat, () => undefined);
    const now = parsed ?? this.#machine.cpuTimes();
    const percent = cpuPercent(this.#cpu, now);
    this.#cpu = now;
    return percent === null ? null : tenth(percent);
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
    const root = this.#machine.platform === 'win32' ? 'C:\\' : '/';
    const answer = Promise.resolve()
      .then(() => this.#machine.diskPercent(root))
      .catch(() => Number.NaN)
      .finally(() => {
        this.#diskBusy = false;
      });
    void within(this.#clock, DISK_TIMEOUT_MS, () => answer).then((percent) => {
      this.#diskPercent = percent !== undefined && Number.isFinite(percent) ? tenth(percent) : null;
    });
  }
}
