import { describe, expect, it } from 'vitest';
import { createMachineAgent } from '../../agent/index.ts';
import { createSimulatedAgent } from '../../agent/simulated-agent.ts';
import { driftingStats, simulatedNode } from '../../agent/simulated-node.ts';
import { nodeFactsSchema, statsSchema } from '../../shared/index.ts';
import { soon } from '../support/soon.ts';
import { fakeClock } from './fake-clock.ts';
import { startHub } from './harness.ts';
import { fakeMachine } from './machine/fake-machine.ts';

describe('createMachineAgent', () => {
  it('registers the facts of the machine, what its owner says over them, and its stats', async () => {
    const hub = await startHub();
    const clock = fakeClock();
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

describe('simulated agents', () => {
  it('are the same machines at each start, each another one', () => {
    const nodes = Array.from({ length: 3_000 }, (_, index) => simulatedNode(index + 1));
    expect(nodes[0]).toMatchObject({ nodeId: 'sim-0001', hostname: 'sim-0001' });
    expect(nodes[0]).toEqual(simulatedNode(1));
    expect(new Set(nodes.map(({ nodeId }) => nodeId)).size).toBe(3_000);
    expect(new Set(nodes.map(({ address }) => address)).size).toBe(3_000);
    for (const node of nodes.slice(0, 12)) expect(nodeFactsSchema.safeParse(node).success).toBe(true);
  });

  it('have every kind in every zone', () => {
    const seen = new Set(
      Array.from({ length: 24 }, (_, index) => simulatedNode(index + 1)).map(
        ({ kind, labels }) => `${kind} ${labels?.zone}`,
      ),
    );
    expect(seen.size).toBe(12);
  });

  it('have figures that drift within bounds', () => {
    const read = driftingStats(1_000, () => 0.999, fakeClock());
    let last = read();
    for (let call = 0; call < 500; call += 1) {
      last = read();
      expect(statsSchema.safeParse(last).success).toBe(true);
    }
    expect(last).toMatchObject({ cpuPercent: 98, memoryUsedMib: 980, memoryTotalMib: 1_000 });
  });

  it('register like any other', async () => {
    const hub = await startHub();
    const agent = createSimulatedAgent(7, { hubUrl: hub.url });
    const { nodeId } = await agent.start();
    expect(nodeId).toBe('sim-0007');
    await agent.stop();
  });
});
