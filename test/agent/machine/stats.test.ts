import { describe, expect, it } from 'vitest';
import { MachineStats } from '../../../agent/index.ts';
import { cpuPercent, parseProcStat } from '../../../agent/machine/cpu.ts';
import { parseMemInfo } from '../../../agent/machine/memory.ts';
import { statsSchema } from '../../../shared/index.ts';
import { FAKE_START, FakeClock } from '../../support/fake-clock.ts';
import { soon } from '../../support/soon.ts';
import { fakeMachine } from './fake-machine.ts';

const meminfo = 'MemTotal:       268435456 kB\nMemFree:         1000 kB\nMemAvailable:   167772160 kB\n';
const procStat = (user: number, idle: number) =>
  `cpu  ${user} 0 0 ${idle} 0 0 0 0 99 0\ncpu0 1 2 3 4\nintr 5\n`;
const flush = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('cpuPercent', () => {
  it('counts waiting for disks as idle, and guests once', () => {
    expect(parseProcStat('cpu  10 20 30 400 50 6 7 8 9 10\n')).toEqual({ busy: 81, total: 531 });
    expect(parseProcStat('intr 1\n')).toBeUndefined();
  });

  it('is null without a reading before, and where no time has passed', () => {
    expect(cpuPercent(undefined, { busy: 1, total: 2 })).toBeNull();
    expect(cpuPercent({ busy: 1, total: 2 }, { busy: 1, total: 2 })).toBeNull();
    expect(cpuPercent({ busy: 100, total: 200 }, { busy: 135, total: 300 })).toBe(35);
  });
});

it('reads /proc/meminfo', () => {
  expect(parseMemInfo(meminfo)).toEqual({ totalMib: 262_144, availableMib: 163_840 });
  expect(parseMemInfo('MemTotal: 1 kB\n')).toBeUndefined();
});

describe('MachineStats', () => {
  it('reads figures that the hub accepts; rates from the second reading on', async () => {
    const files: Record<string, string> = { '/proc/stat': procStat(100, 900), '/proc/meminfo': meminfo };
    const stats = new MachineStats(fakeMachine(files), new FakeClock());
    const first = await stats.read();
    expect(first).toMatchObject({
      cpuPercent: null,
      memoryUsedMib: 98_304,
      memoryTotalMib: 262_144,
      memoryPercent: 37.5,
    });
    expect(first).toMatchObject({ uptimeSeconds: 86_400, at: new Date(FAKE_START).toISOString() });
    files['/proc/stat'] = procStat(135.26, 964.74);
    await flush();
    const second = await stats.read();
    expect(second).toMatchObject({ cpuPercent: 35.3, diskPercent: 23.4 });
    expect(statsSchema.safeParse(second).success).toBe(true);
  });

  it('works without /proc', async () => {
    const times = [
      { busy: 10, total: 100 },
      { busy: 60, total: 200 },
    ];
    const machine = fakeMachine({}, { cpuTimes: () => times.shift() ?? { busy: 0, total: 0 } });
    const stats = new MachineStats(machine, new FakeClock());
    await stats.read();
    expect(await stats.read()).toMatchObject({
      cpuPercent: 50,
      memoryUsedMib: 98_304,
      memoryTotalMib: 262_144,
    });
  });

  it('never throws: what cannot be read is null', async () => {
    const broken = () => {
      throw new Error('EPERM');
    };
    const machine = fakeMachine(
      {},
      {
        readText: broken,
        cpuTimes: broken,
        totalMemoryBytes: broken,
        uptimeSeconds: broken,
        diskPercent: broken,
      },
    );
    const stats = new MachineStats(machine, new FakeClock());
    await stats.read();
    await flush();
    expect(await stats.read()).toEqual({
      cpuPercent: null,
      memoryUsedMib: null,
      memoryTotalMib: null,
      memoryPercent: null,
      diskPercent: null,
      uptimeSeconds: null,
      at: new Date(FAKE_START).toISOString(),
    });
  });

  it('asks the disk every thirty seconds, and never twice at once', async () => {
    const clock = new FakeClock();
    const answers: Array<(percent: number) => void> = [];
    const machine = fakeMachine(
      {},
      { diskPercent: () => new Promise((resolve) => void answers.push(resolve)) },
    );
    const stats = new MachineStats(machine, clock);
    const read = async (): Promise<number | null | undefined> => {
      const { diskPercent } = await stats.read();
      await flush();
      return diskPercent;
    };
    expect(await read()).toBeNull();
    answers[0]?.(10);
    await flush();
    clock.tick(29_999);
    expect(await read()).toBe(10);
    expect(answers).toHaveLength(1);
    clock.tick(1);
    expect(await read()).toBe(10);
    expect(answers).toHaveLength(2);
    clock.tick(5_000);
    await flush();
    expect(await read()).toBeNull();
    clock.tick(60_000);
    await read();
    expect(answers).toHaveLength(2);
    answers[1]?.(20);
    await flush();
    await read();
    await soon(() => answers.length === 3);
    answers[2]?.(30);
    await flush();
    expect(await read()).toBe(30);
    expect(clock.timers()).toBe(0);
  });
});
