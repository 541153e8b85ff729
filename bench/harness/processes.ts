import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** Where the server under test runs. */
export const SERVER_CORE = 0;
/** Where everything else runs: load, Redis, dashboards, and the bench itself. */
export const LOAD_CORE = 1;

/** Whether processes can be kept on one core each. */
export const canPin = spawnSync('taskset', ['-c', String(LOAD_CORE), 'true']).status === 0;

/** Pins a process that runs already, with all its threads. */
export function pin(pid: number, core: number): void {
  if (canPin) spawnSync('taskset', ['-a', '-c', '-p', String(core), String(pid)]);
}

/** A command line that keeps its process on one core from the start, where that can be done. */
export function pinned(core: number, command: readonly string[]): string[] {
  return canPin ? ['taskset', '-c', String(core), ...command] : [...command];
}

/**
 * CPU time of a process so far in microseconds, user and system, of all its threads: /proc/PID/task/TID/schedstat,
 * which counts nanoseconds. /proc/PID/stat counts ticks of 10 ms, and charges a whole one to whoever runs when it
 * falls: a process that wakes by timers looks many times as busy as it is.
 */
export function cpuMicros(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const nanos = tasks.map((task) => {
    try {
      return Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ', 1)[0]);
    } catch {
      return 0; // A thread that ended meanwhile.
    }
  });
  return nanos.reduce((sum, one) => sum + one, 0) / 1_000;
}

/** Resident bytes of a process. */
export function residentBytes(pid: number): number {
  const found = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(found?.[1]) * 1_024;
}

/** Counters of the kernel's TCP that tell of a storm: connection attempts sent again, and those it had no room for. */
export function tcpCounters(): { synRetransmits: number; listenDrops: number } {
  const lines = readFileSync('/proc/net/netstat', 'utf8').split('\n');
  const names = lines.find((line) => line.startsWith('TcpExt: Syn'))?.split(' ') ?? [];
  const at = lines.findIndex((line) => line.startsWith('TcpExt: Syn'));
  const values = lines[at + 1]?.split(' ') ?? [];
  const value = (name: string): number => Number(values[names.indexOf(name)]);
  return { synRetransmits: value('TCPSynRetrans'), listenDrops: value('ListenDrops') };
}

/** Milliseconds on a clock that all processes of this machine share. */
export function sharedNow(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000 + nanoseconds / 1e6;
}

/** What a measurement must keep waiting for, with an end. Throws after the deadline. */
export async function until(
  what: string,
  withinMs: number,
  holds: () => boolean | Promise<boolean>,
  everyMs = 20,
): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${withinMs / 1_000} s`);
    await pause(everyMs);
  }
}
