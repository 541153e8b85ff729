import { describe, expect, test } from 'vitest';
import { CgroupReader } from '../../../agent/machine/cgroup.ts';
import { FullestDisk } from '../../../agent/machine/disks.ts';
import { memoryFacts, readMemory } from '../../../agent/machine/memory.ts';
import { disksThatMatter, parseMounts } from '../../../agent/machine/mounts.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { fakeMachine } from './fake-machine.ts';

const MIB = 1024 * 1024;
const v2Mount = '30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw';
const v1Mounts = (root = '/') =>
  ['memory', 'cpu,cpuacct']
    .map((names, n) => `${30 + n} 23 0:2${n} ${root} /sys/fs/cgroup/${names} rw - cgroup cgroup rw,${names}`)
    .join('\n');

const reading = (files: Record<string, string>) =>
  new CgroupReader(async (path) => {
    const text = files[path];
    if (text === undefined) throw new Error(`ENOENT ${path}`);
    return text;
  }).confinement();

describe('what a machine is confined to', () => {
  const root = '/sys/fs/cgroup';
  test('[FACT-4] a container of cgroup v2: its own part is the root', async () => {
    const files = {
      '/proc/self/cgroup': '0::/\n',
      '/proc/1/cgroup': '0::/\n',
      '/proc/self/mountinfo': v2Mount,
      [`${root}/memory.max`]: '314572800\n',
      [`${root}/memory.current`]: '104857600\n',
      [`${root}/memory.stat`]: 'anon 1\ninactive_file 52428800\n',
      [`${root}/cpu.max`]: '150000 100000\n',
      [`${root}/cpu.stat`]: 'usage_usec 2000000\n',
    };
    expect(await reading(files)).toEqual({
      memory: { limitBytes: 300 * MIB, usedBytes: 50 * MIB },
      cpu: { cpus: 1.5, usedMs: 2_000 },
    });
  });

  test('[FACT-4] nested: the tightest limit counts, `max` is none', async () => {
    const files = {
      '/proc/self/cgroup': '0::/a/b\n',
      '/proc/1/cgroup': '0::/init.scope\n',
      '/proc/self/mountinfo': v2Mount,
      [`${root}/a/b/memory.max`]: 'max\n',
      [`${root}/a/b/cpu.max`]: 'max 100000\n',
      [`${root}/a/memory.max`]: '1048576\n',
      [`${root}/a/memory.current`]: '1000\n',
    };
    expect(await reading(files)).toEqual({ memory: { limitBytes: MIB, usedBytes: 1_000 } });
  });

  test('[FACT-4] cgroup v1, whose largest number is no limit', async () => {
    const files = (limit: string) => ({
      '/proc/self/cgroup': '5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n',
      '/proc/1/cgroup': '5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n',
      '/proc/self/mountinfo': v1Mounts('/docker/x'),
      [`${root}/memory/memory.limit_in_bytes`]: limit,
      [`${root}/memory/memory.usage_in_bytes`]: '2097152',
      [`${root}/cpu,cpuacct/cpu.cfs_quota_us`]: '50000',
      [`${root}/cpu,cpuacct/cpu.cfs_period_us`]: '100000',
      [`${root}/cpu,cpuacct/cpuacct.usage`]: '3000000000',
    });
    const cpu = { cpus: 0.5, usedMs: 3_000 };
    expect(await reading(files('4194304'))).toEqual({
      memory: { limitBytes: 4 * MIB, usedBytes: 2 * MIB },
      cpu,
    });
    expect(await reading(files('9223372036854771712'))).toEqual({ cpu });
  });

  test("[FACT-4] the limit of the agent's own service is not the machine's", async () => {
    const files = {
      '/proc/self/cgroup': '0::/system.slice/rollcall.service\n',
      '/proc/1/cgroup': '0::/init.scope\n',
      '/proc/self/mountinfo': v2Mount,
      [`${root}/system.slice/rollcall.service/memory.max`]: '1048576',
      [`${root}/system.slice/rollcall.service/memory.current`]: '1000',
    };
    expect(await reading(files)).toEqual({});
    expect(await reading({})).toEqual({});
  });

  test('[FACT-4] memory is that of the limit, unless the machine has less', async () => {
    const machine = fakeMachine();
    const memory = { limitBytes: 300 * MIB, usedBytes: 100 * MIB };
    expect(memoryFacts(machine, { memory }).totalMib).toBe(300);
    expect(await readMemory(machine, { memory })).toEqual({ totalMib: 300, availableMib: 200 });
    const host = await readMemory(machine);
    expect(await readMemory(machine, { memory: { ...memory, limitBytes: 2 ** 59 } })).toEqual(host);
  });
});

describe('the disks that matter', () => {
  const line = (device: string, path: string, type: string, source: string, options = 'rw', root = '/') =>
    `1 1 ${device} ${root} ${path} ${options},relatime - ${type} ${source} ${options}`;
  test.each<[string, string[], string[]]>([
    ['one disk', [line('8:1', '/', 'ext4', '/dev/sda1')], ['/']],
    [
      'images, memory, loops and network disks',
      [
        line('8:1', '/', 'xfs', '/dev/sda1'),
        line('7:1', '/snap/x', 'squashfs', '/dev/loop1', 'ro'),
        line('7:2', '/mnt/img', 'ext4', '/dev/loop2'),
        line('0:9', '/tmp', 'tmpfs', 'tmpfs'),
        line('11:0', '/media/cd', 'iso9660', '/dev/sr0', 'ro'),
        line('0:8', '/net', 'nfs4', 'server:/x'),
        line('0:7', '/auto', 'autofs', 'systemd-1'),
        line('8:2', '/boot', 'ext4', '/dev/sda2'),
        line('8:3', '/var/lib/my\\040data', 'btrfs', '/dev/sda3'),
      ],
      ['/', '/var/lib/my data'],
    ],
    [
      'a disk mounted twice',
      [
        line('8:1', '/ro', 'ext4', '/dev/sda1', 'ro'),
        line('8:1', '/a', 'ext4', '/dev/sda1'),
        line('8:1', '/b', 'ext4', '/dev/sda1'),
      ],
      ['/a'],
    ],
    [
      'a container',
      [
        line('0:40', '/', 'overlay', 'overlay'),
        line('8:1', '/etc/hosts', 'ext4', '/dev/sda1', 'rw', '/c/hosts'),
      ],
      ['/etc/hosts'],
    ],
    ['a container without any', [line('0:40', '/', 'overlay', 'overlay')], ['/']],
    [
      'a read-only image',
      [line('7:0', '/', 'squashfs', '/dev/loop0', 'ro'), line('0:9', '/run', 'tmpfs', 'tmpfs')],
      [],
    ],
  ])('[FACT-5] of %s', (_name, lines, paths) => {
    expect(disksThatMatter(parseMounts(lines.join('\n')))).toEqual(paths);
  });

  test('[FACT-5] the fullest tells; one that hangs holds up no other, and is not asked again', async () => {
    const clock = new FakeClock();
    const asked: string[] = [];
    const answers: Record<string, Promise<number>> = {
      '/a': Promise.resolve(10),
      '/b': Promise.resolve(80.5),
      '/hangs': new Promise(() => {}),
      '/gone': Promise.reject(new Error('ENOENT')),
      '/empty': Promise.resolve(Number.NaN),
    };
    const disks = new FullestDisk(clock, (path) => {
      asked.push(path);
      return answers[path] ?? Promise.reject(new Error('unknown'));
    });
    expect(await disks.percent(['/a', '/gone', '/b', '/empty'])).toBe(80.5);
    const first = disks.percent(['/hangs', '/a']);
    await new Promise((resolve) => setImmediate(resolve));
    clock.tick(5_000);
    expect(await first).toBe(10);
    asked.length = 0;
    expect(await disks.percent(['/hangs', '/a'])).toBe(10);
    expect(asked).toEqual(['/a']);
    expect(await disks.percent(['/empty'])).toBeNull();
  });
});
