import { describe, expect, it } from 'vitest';
import { nodeFactsSchema, statsSchema } from '../../shared/index.ts';
import { driftingStats, simulatedNode } from '../../simulate/simulated-node.ts';
import { FakeClock } from '../support/fake-clock.ts';

describe('the machines of simulated agents', () => {
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
    const read = driftingStats(1_000, () => 0.999, new FakeClock());
    let last = read();
    for (let call = 0; call < 500; call += 1) {
      last = read();
      expect(statsSchema.safeParse(last).success).toBe(true);
    }
    expect(last).toMatchObject({ cpuPercent: 98, memoryUsedMib: 980, memoryTotalMib: 1_000 });
  });
});
