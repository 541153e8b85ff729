import { describe, expect, test } from 'vitest';
import { Projection } from '../../cli/watch/projection.ts';
import type { DashboardEvent, FleetNode } from '../../shared/index.ts';
import { eventOf, fleetNode, nodeRecord } from '../support/fixtures.ts';

function event(
  node: Partial<FleetNode> & { id: string },
  change: Partial<DashboardEvent> = {},
): DashboardEvent {
  return { ...eventOf(nodeRecord(fleetNode(node))), ...change };
}

describe('the projection of a dashboard', () => {
  test('applies what is above the known version, and knows what came twice', () => {
    const projection = new Projection(true);
    expect(projection.apply(event({ id: 'a', seq: 1 }, { type: 'registered' })).kind).toBe('applied');
    expect(projection.apply(event({ id: 'a', seq: 2, status: 'offline' })).kind).toBe('applied');
    expect(projection.apply(event({ id: 'a', seq: 1 })).kind).toBe('known');
    expect(projection.nodes.get('a')?.status).toBe('offline');
  });

  test('a removed node is not brought back by what came twice', () => {
    const projection = new Projection(true);
    projection.apply(event({ id: 'a', seq: 1 }, { type: 'registered' }));
    projection.apply(event({ id: 'a', seq: 2 }, { type: 'removed', to: null }));
    expect(projection.apply(event({ id: 'a', seq: 1 }, { type: 'registered' })).kind).toBe('known');
    expect(projection.nodes.size).toBe(0);
    expect(projection.apply(event({ id: 'a', seq: 3 }, { type: 'registered' }))).toMatchObject({
      kind: 'applied',
      hole: undefined,
    });
  });

  test('a node that left is gone', () => {
    const projection = new Projection(false);
    projection.apply(event({ id: 'a', seq: 4 }));
    projection.apply(event({ id: 'a', seq: 5 }, { left: true }));
    expect(projection.nodes.size).toBe(0);
  });

  test('a missing version is a hole without a filter only, and never where the store was restored', () => {
    const whole = new Projection(true);
    whole.apply(event({ id: 'a', seq: 1 }, { type: 'registered' }));
    expect(whole.apply(event({ id: 'a', seq: 3 }))).toMatchObject({
      hole: { nodeId: 'a', known: 1, got: 3 },
    });
    expect(whole.apply(event({ id: 'b', seq: 2 }))).toMatchObject({ hole: { known: undefined } });
    expect(whole.apply(event({ id: 'a', seq: 9 }, { reason: 'store_restored' }))).toMatchObject({
      hole: undefined,
    });
    const filtered = new Projection(false);
    filtered.apply(event({ id: 'a', seq: 1 }));
    expect(filtered.apply(event({ id: 'a', seq: 3 }))).toMatchObject({ kind: 'applied', hole: undefined });
  });

  test('a new picture tells what is different', () => {
    const projection = new Projection(true);
    const picture = (...nodes: FleetNode[]) => new Map(nodes.map((node) => [node.id, node]));
    const same = fleetNode({ id: 'same' });
    projection.replace(picture(same, fleetNode({ id: 'changed' }), fleetNode({ id: 'gone' })));
    const differences = projection.replace(
      picture(same, fleetNode({ id: 'changed', seq: 2, status: 'offline' }), fleetNode({ id: 'new' })),
    );
    expect(differences.map(({ id, before, after }) => [id, before?.status, after?.status])).toEqual([
      ['changed', 'online', 'offline'],
      ['gone', 'online', undefined],
      ['new', undefined, 'online'],
    ]);
  });
});
