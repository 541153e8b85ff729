import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { machineFacts } from '../../../agent/index.ts';
import { managementAddress } from '../../../agent/machine/address.ts';
import { cpuFacts, parseCpuInfo } from '../../../agent/machine/cpu.ts';
import { gpuCapabilities, gpusOf, parseCudaVersion } from '../../../agent/machine/gpu.ts';
import { thisMachine } from '../../../agent/machine/machine.ts';
import { hashedMachineId } from '../../../agent/machine/machine-id.ts';
import { memoryFacts } from '../../../agent/machine/memory.ts';
import { nodeFactsSchema } from '../../../shared/index.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { soon } from '../../support/soon.ts';
import { fakeMachine } from './fake-machine.ts';

const ipv4 = (address: string, internal = false) => ({ family: 'IPv4', address, internal });

/** /proc/cpuinfo of two sockets with fourteen cores and two threads each. */
const xeon = Array.from({ length: 56 }, (_, processor) =>
  [
    `processor\t: ${processor}`,
    'model name\t: Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz',
    `physical id\t: ${processor % 2}`,
    'siblings\t: 28',
    'cpu cores\t: 14',
    'flags\t\t: fpu vme vmx sse4_2 avx2 smep',
    '',
  ].join('\n'),
).join('\n');

describe('managementAddress', () => {
  it('is the first IPv4 that is neither loopback nor link-local', () => {
    const addresses = [
      ipv4('127.0.0.1', true),
      { family: 'IPv6', address: 'fe80::1', internal: false },
      ipv4('169.254.7.7'),
      ipv4('192.168.1.10'),
      ipv4('10.0.0.1'),
    ];
    expect(managementAddress(addresses)).toBe('192.168.1.10');
    expect(managementAddress(addresses, 9090)).toBe('192.168.1.10:9090');
  });

  it('is loopback where there is none', () => {
    expect(managementAddress([])).toBe('127.0.0.1');
    expect(managementAddress([ipv4('169.254.7.7')], 9090)).toBe('127.0.0.1:9090');
  });
});

describe('hashedMachineId', () => {
  const id = '0123456789abcdef0123456789abcdef';

  it('is a keyed hash, the same at each start, and not the id', async () => {
    const machine = fakeMachine({ '/etc/machine-id': `${id}\n` });
    const expected = createHmac('sha256', id).update('rollcall.machine-id.v1').digest('hex').slice(0, 32);
    expect(await hashedMachineId(machine)).toBe(expected);
    expect(await hashedMachineId(machine)).not.toContain(id);
  });

  it('asks the system where there is no such file, or an image was never started', async () => {
    const systemId = async () => 'BC8F1E9C-6A51';
    const without = await hashedMachineId(fakeMachine({}, { systemId }));
    expect(without).toMatch(/^[0-9a-f]{32}$/);
    expect(await hashedMachineId(fakeMachine({ '/etc/machine-id': 'uninitialized\n' }, { systemId }))).toBe(
      without,
    );
    expect(await hashedMachineId(fakeMachine())).toBeUndefined();
  });
});

describe('cpu', () => {
  it('reads the topology of x86', () => {
    expect(parseCpuInfo(xeon)).toEqual({
      model: 'Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz',
      sockets: 2,
      coresPerSocket: 14,
      threadsPerCore: 2,
      features: ['vmx', 'sse4_2', 'avx2'],
    });
  });

  it('asks systeminformation for what ARM leaves out', async () => {
    const arm = 'processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd aes crc32\n';
    const machine = fakeMachine(
      { '/proc/cpuinfo': arm },
      {
        cpuTopology: async () => ({
          brand: 'Cortex-A76',
          sockets: 1,
          physicalCores: 4,
          threads: 4,
          flags: '',
        }),
      },
    );
    expect(await cpuFacts(machine)).toEqual({
      model: 'Cortex-A76',
      sockets: 1,
      coresPerSocket: 4,
      threadsPerCore: 1,
      features: ['asimd', 'aes', 'crc32'],
    });
  });

  it('is content with the model where nothing else can be found', async () => {
    expect(await cpuFacts(fakeMachine({}, { cpuModels: () => ['Apple M3'] }))).toEqual({ model: 'Apple M3' });
  });
});

describe('memory', () => {
  it('keeps a sixteenth for the system', () => {
    expect(memoryFacts(fakeMachine())).toEqual({ totalMib: 262_144, allocatableMib: 245_760 });
  });

  it('gives no more than the process may use', () => {
    const machine = fakeMachine({}, { constrainedMemoryBytes: () => 1024 ** 3 });
    expect(memoryFacts(machine)).toEqual({ totalMib: 262_144, allocatableMib: 960 });
    const unlimited = fakeMachine({}, { constrainedMemoryBytes: () => 2 ** 63 });
    expect(memoryFacts(unlimited).allocatableMib).toBe(245_760);
  });
});

describe('gpu', () => {
  const nvidia = {
    vendor: 'NVIDIA Corporation',
    model: 'GA102',
    name: 'NVIDIA RTX A5000',
    memoryTotal: 24_000,
    vram: 256,
  };
  const printed = '| NVIDIA-SMI 530.30.02   Driver Version: 530.30.02    CUDA Version: 12.1     |';

  it('counts GPUs, their memory and names the CUDA version', async () => {
    const machine = fakeMachine(
      {},
      { graphics: async () => [nvidia, nvidia], nvidiaSmi: async () => printed },
    );
    expect(await gpuCapabilities(machine)).toEqual({
      gpuCount: 2,
      totalVramMib: 48_000,
      cudaVersion: '12.1',
      gpuModels: ['NVIDIA RTX A5000'],
    });
  });

  it('leaves the CUDA version out where the driver does not tell', async () => {
    const machine = fakeMachine({}, { graphics: async () => [{ ...nvidia, driverVersion: '530.30' }] });
    expect(await gpuCapabilities(machine)).toEqual({
      gpuCount: 1,
      totalVramMib: 24_000,
      driverVersion: '530.30',
      gpuModels: ['NVIDIA RTX A5000'],
    });
    expect(parseCudaVersion('No devices were found')).toBeUndefined();
  });

  it('takes the display of a virtual machine for none', () => {
    expect(
      gpusOf([{ vendor: 'Red Hat, Inc.', model: 'QXL', vram: 64 }, { model: 'ASPEED Graphics Family' }]),
    ).toBeUndefined();
    expect(gpusOf([{ vendor: 'Intel', model: 'UHD 770', vram: null }])).toEqual({
      gpuCount: 1,
      totalVramMib: 0,
      gpuModels: ['UHD 770'],
    });
  });
});

describe('machineFacts', () => {
  it('puts them together as a registration carries them', async () => {
    const machine = fakeMachine(
      { '/proc/cpuinfo': xeon, '/etc/machine-id': '0123456789abcdef0123456789abcdef' },
      {
        addresses: () => [ipv4('192.168.1.10')],
        graphics: async () => [{ vendor: 'AMD', model: 'MI300X', vram: 192_000 }],
      },
    );
    const facts = await machineFacts({ machine, port: 9090 });
    expect(facts).toMatchObject({
      hostname: 'hypervisor-01.local',
      address: '192.168.1.10:9090',
      machineId: expect.stringMatching(/^[0-9a-f]{32}$/),
      cpu: { sockets: 2, coresPerSocket: 14 },
      memory: { totalMib: 262_144, allocatableMib: 245_760 },
      capabilities: { gpuCount: 1, totalVramMib: 192_000 },
    });
  });

  it('never throws, whatever fails', async () => {
    const broken = () => {
      throw new Error('EPERM');
    };
    const machine = fakeMachine(
      {},
      {
        hostname: broken,
        readText: broken,
        addresses: broken,
        totalMemoryBytes: broken,
        cpuModels: broken,
        systemId: broken,
        graphics: broken,
      },
    );
    expect(await machineFacts({ machine, port: 9090 })).toEqual({
      hostname: 'localhost',
      address: '127.0.0.1:9090',
    });
  });

  it('leaves out what hangs, after eight seconds', async () => {
    const clock = new FakeClock();
    const hang = () => new Promise<never>(() => {});
    const machine = fakeMachine({}, { graphics: hang, readText: hang });
    let facts: unknown;
    void machineFacts({ machine, clock }).then((found) => {
      facts = found;
    });
    await new Promise<void>((resolve) => setImmediate(resolve));
    clock.tick(7_999);
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(facts).toBeUndefined();
    clock.tick(1);
    await soon(() => facts !== undefined);
    expect(facts).toEqual({
      hostname: 'hypervisor-01.local',
      address: '127.0.0.1',
      memory: { totalMib: 262_144, allocatableMib: 245_760 },
    });
    expect(clock.timers()).toBe(0);
  });

  it('describes the machine that runs this test as the hub accepts it', async () => {
    const facts = await machineFacts();
    expect(facts.hostname).toBe(thisMachine.hostname());
    expect(facts.memory?.totalMib).toBeGreaterThan(0);
    expect(nodeFactsSchema.safeParse(facts).success).toBe(true);
  });
});
