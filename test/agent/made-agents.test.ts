import { describe, expect, it } from 'vitest';
import { createMachineAgent } from '../../agent/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { soon } from '../support/soon.ts';
import { startHub } from './harness.ts';
import { fakeMachine } from './machine/fake-machine.ts';

describe('createMachineAgent', () => {
  it('registers the facts of the machine, what its owner says over them, and its stats', async () => {
    const hub = await startHub();
    const clock = new FakeClock();
    const machine = fakeMachine(
      {},
      { addresses: () => [{ family: 'IPv4', address: '192.168.1.10', internal: false }] },
    );
    const agent = await createMachineAgent({
      hubUrl: hub.url,
      token: 'agent-token',
      machine,
      clock,
      random: () => 0.5,
      port: 9090,
      intervalMs: 5_000,
      version: '1.2.3',
      node: { nodeId: 'my-node-01', kind: 'hypervisor', labels: { zone: 'a' } },
    });
    await agent.start();
    expect(hub.last.headers.authorization).toBe('Bearer agent-token');
    expect(hub.last.registers[0]).toMatchObject({
      heartbeat: { intervalMs: 5_000 },
      node: {
        nodeId: 'my-node-01',
        hostname: 'hypervisor-01.local',
        address: '192.168.1.10:9090',
        kind: 'hypervisor',
        labels: { zone: 'a' },
        memory: { totalMib: 262_144, allocatableMib: 245_760 },
        agent: { name: 'rollcall-agent', version: '1.2.3' },
      },
    });
    clock.tick(500);
    await soon(() => hub.last.messages.length === 2);
    expect(hub.last.messages[1]).toMatchObject({ type: 'stats', stats: { memoryUsedMib: 98_304 } });
    await agent.stop();
  });

  it('lets an address that was given stand', async () => {
    const hub = await startHub();
    const node = { address: '10.0.0.1:1', hostname: 'other' };
    const agent = await createMachineAgent({ hubUrl: hub.url, machine: fakeMachine(), port: 9090, node });
    await agent.start();
    expect(hub.last.registers[0]?.node).toMatchObject(node);
    await agent.stop();
  });

  it('refuses what the hub would refuse', async () => {
    const made = createMachineAgent({ hubUrl: 'http://h', machine: fakeMachine(), node: { nodeId: 'a b' } });
    await expect(made).rejects.toMatchObject({ code: 'invalid_options' });
  });
});
