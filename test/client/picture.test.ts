import { describe, expect, test } from 'vitest';
import { type ChangeEvent, differencesBetween, Picture } from '../../client/index.ts';
import type { FleetNode } from '../../shared/index.ts';
import { eventOf, fleetNode, nodeRecord } from '../support/fixtures.ts';

function event(
  node: Partial<FleetNode> & { id: string },
  change: Partial<ChangeEvent<FleetNode>> = {},
): ChangeEvent<FleetNode> {
  return { ...eventOf(nodeRecord(fleetNode(node))), ...change };
}

describe('the picture of a fleet', () => {
  test('applies what is above the known version, and knows what came twice', () => {
    const picture = new Picture<FleetNode>(true);
    expect(picture.apply(event({ id: 'a', seq: 1 }, { type: 'registered' })).kind).toBe('applied');
    expect(picture.apply(event({ id: 'a', seq: 2, status: 'offline' })).kind).toBe('applied');
    expect(picture.apply(event({ id: 'a', seq: 1 })).kind).toBe('known');
    expect(picture.nodes.get('a')?.status).toBe('offline');
  });

  test('a removed node is not brought back by what came twice', () => {
    const picture = new Picture<FleetNode>(true);
    picture.apply(event({ id: 'a', seq: 1 }, { type: 'registered' }));
    picture.apply(event({ id: 'a', seq: 2 }, { type: 'removed', to: null }));
    expect(picture.apply(event({ id: 'a', seq: 1 }, { type: 'registered' })).kind).toBe('known');
    expect(picture.nodes.size).toBe(0);
    expect(picture.apply(event({ id: 'a', seq: 3 }, { type: 'registered' }))).toMatchObject({
      kind: 'applied',
    });
  });

  test('a node whose removal the store has forgotten begins at version 1 again', () => {
    const picture = new Picture<FleetNode>(true);
    picture.apply(event({ id: 'a', seq: 1 }, { type: 'registered', at: '2026-03-01T12:00:00.000Z' }));
    picture.apply(event({ id: 'a', seq: 2 }, { type: 'removed', to: null, at: '2026-03-01T13:00:00.000Z' }));
    const later = { type: 'registered', at: '2026-03-03T12:00:00.000Z' } as const;
    expect(picture.apply(event({ id: 'a', seq: 1 }, later)).kind).toBe('applied');
    expect(picture.apply(event({ id: 'a', seq: 2, status: 'offline' })).kind).toBe('applied');
    expect(picture.nodes.get('a')?.status).toBe('offline');
  });

  test('a node that left is gone', () => {
    const picture = new Picture<FleetNode>(false);
    picture.apply(event({ id: 'a', seq: 4 }));
    picture.apply(event({ id: 'a', seq: 5 }, { left: true }));
    expect(picture.nodes.size).toBe(0);
  });

  test('a missing version is a hole without a filter only, and never where the store was restored', () => {
    const whole = new Picture<FleetNode>(true);
    whole.apply(event({ id: 'a', seq: 1 }, { type: 'registered' }));
    expect(whole.apply(event({ id: 'a', seq: 3 }))).toMatchObject({
      hole: { nodeId: 'a', known: 1, got: 3 },
    });
    expect(whole.nodes.get('a')?.seq).toBe(1);
    expect(whole.apply(event({ id: 'b', seq: 2 }))).toMatchObject({ hole: { known: undefined } });
    expect(whole.apply(event({ id: 'a', seq: 9 }, { reason: 'store_restored' })).kind).toBe('applied');
    const filtered = new Picture<FleetNode>(false);
    filtered.apply(event({ id: 'a', seq: 1 }));
    expect(filtered.apply(event({ id: 'a', seq: 3 }))).toMatchObject({ kind: 'applied' });
  });

  test('a new picture tells what is different', () => {
    const picture = (...nodes: FleetNode[]) => {
      const made = new Picture<FleetNode>(true);
      for (const node of nodes) made.load(node);
      return made;
    };
    const same = fleetNode({ id: 'same' });
    const differences = differencesBetween(
      picture(same, fleetNode({ id: 'changed' }), fleetNode({ id: 'gone' })),
      picture(same, fleetNode({ id: 'changed', seq: 2, status: 'offline' }), fleetNode({ id: 'new' })),
    );
    expect(differences.map(({ id, before, after }) => [id, before?.status, after?.status])).toEqual([
      ['changed', 'online', 'offline'],
      ['gone', 'online', undefined],
      ['new', undefined, 'online'],
    ]);
  });
});
