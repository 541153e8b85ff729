import { beforeEach, describe, expect, test } from 'vitest';
import {
  BATCH_MS,
  FilterGroup,
  FilterGroups,
  type GroupMember,
} from '../../server/dashboards/filter-group.ts';
import { View } from '../../server/picture/view.ts';
import type { Changes, Filter, FleetEvent, FleetNode } from '../../shared/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { eventOf, fleetNode, nodeRecord } from '../support/fixtures.ts';

class Member implements GroupMember {
  readonly held: Changes[] = [];
  fast = true;
  hold(changes: Changes): void {
    this.held.push(changes);
  }
  takesMore(): boolean {
    return this.fast;
  }
}

let clock: FakeClock;
let view: View;
let at = 0;
let sent: Changes[];

beforeEach(async () => {
  clock = new FakeClock();
  view = new View(1, () => 0, clock);
  at = 0;
  sent = [];
  await view.load(0, [], { epoch: 'e', at: '0-0' }, 'start');
});

function apply(node: FleetNode, change: { type?: FleetEvent['type'] } = {}): void {
  const record = nodeRecord(node);
  const event = eventOf(record, { type: 'status', ...change });
  at += 1;
  view.apply(0, { record, event, at: `${at}-0` }, false);
  view.advance(0, { epoch: 'e', at: `${at}-0` });
}

function newGroup(filter: Filter = {}, fields: 'full' | 'summary' = 'full'): FilterGroup {
  return new FilterGroup('room', filter, fields, {
    view,
    clock,
    broadcast: (_room, changes) => sent.push(changes),
  });
}

function liveGroup(filter?: Filter, fields?: 'full' | 'summary'): { group: FilterGroup; member: Member } {
  const group = newGroup(filter, fields);
  const member = new Member();
  group.join(member);
  group.goLive(member);
  return { group, member };
}

const seqs = (changes: readonly Changes[]): number[][] =>
  changes.map(({ events }) => events.map(({ seq }) => seq));

describe('a group of subscriptions with one filter', () => {
  test('[CHG-3] the first change after quiet goes at once, later ones together', async () => {
    liveGroup();
    apply(fleetNode({ id: 'a', seq: 1 }));
    await clock.settle();
    expect(seqs(sent)).toEqual([[1]]);
    apply(fleetNode({ id: 'a', seq: 2 }));
    await clock.advance(BATCH_MS / 2);
    apply(fleetNode({ id: 'a', seq: 3 }));
    await clock.settle();
    expect(seqs(sent)).toEqual([[1]]);
    await clock.advance(BATCH_MS / 2);
    expect(seqs(sent)).toEqual([[1], [2, 3]]);
    await clock.advance(BATCH_MS);
    apply(fleetNode({ id: 'a', seq: 4 }));
    await clock.settle();
    expect(seqs(sent)).toEqual([[1], [2, 3], [4]]);
  });

  test('[CHG-3] what happens in one turn goes as one batch', async () => {
    liveGroup();
    for (let seq = 1; seq <= 20; seq += 1) apply(fleetNode({ id: 'a', seq }));
    await clock.settle();
    expect(sent).toHaveLength(1);
    expect(sent[0]?.events).toHaveLength(20);
  });

  test('[CHG-4] only the last packet of a batch brings the new cursor', async () => {
    liveGroup();
    apply(fleetNode({ id: 'a', seq: 1 }));
    await clock.settle();
    const before = sent[0]?.cursor;
    const metadata = { text: 'x'.repeat(30_000) };
    for (let seq = 2; seq <= 30; seq += 1) apply(fleetNode({ id: 'a', seq, metadata }));
    await clock.advance(BATCH_MS);
    const packets = sent.slice(1);
    expect(packets.length).toBeGreaterThan(2);
    expect(packets.slice(0, -1).every(({ cursor }) => cursor === before)).toBe(true);
    expect(packets.at(-1)?.cursor).not.toBe(before);
    for (const packet of packets) expect(JSON.stringify(packet).length).toBeLessThan(300_000);
  });

  test('[CHG-5] a node that no longer matches is told once more, as left', async () => {
    liveGroup({ status: ['online'] });
    apply(fleetNode({ id: 'a', seq: 1 }));
    apply(fleetNode({ id: 'a', seq: 2, status: 'offline' }));
    apply(fleetNode({ id: 'a', seq: 3, status: 'unreachable' }));
    apply(fleetNode({ id: 'a', seq: 4, status: 'online' }));
    apply(fleetNode({ id: 'b', seq: 1, status: 'offline' }), { type: 'registered' });
    await clock.settle();
    const told = sent.flatMap(({ events }) => events.map(({ nodeId, seq, left }) => [nodeId, seq, left]));
    expect(told).toEqual([
      ['a', 1, undefined],
      ['a', 2, true],
      ['a', 4, undefined],
    ]);
  });

  test('[CHG-6] a removal is told where the node matched', async () => {
    liveGroup({ status: ['online'] });
    apply(fleetNode({ id: 'a', seq: 1 }));
    apply(fleetNode({ id: 'b', seq: 1, status: 'offline' }));
    apply(fleetNode({ id: 'a', seq: 2 }), { type: 'removed' });
    apply(fleetNode({ id: 'b', seq: 2, status: 'offline' }), { type: 'removed' });
    await clock.settle();
    const told = sent.flatMap(({ events }) => events.map(({ nodeId, type, left }) => [nodeId, type, left]));
    expect(told).toEqual([
      ['a', 'status', undefined],
      ['a', 'removed', undefined],
    ]);
  });

  test('[SUB-5] summaries carry the row of a list', async () => {
    liveGroup({}, 'summary');
    apply(fleetNode({ id: 'a', seq: 1, metadata: { secret: 1 } }));
    await clock.settle();
    const node = sent[0]?.events[0]?.node;
    expect(node).toMatchObject({ id: 'a', hubId: 'hub-1' });
    expect(node).not.toHaveProperty('metadata');
  });

  test('a member that catches up is handed what comes after its positions, and nothing before', async () => {
    const { group } = liveGroup();
    apply(fleetNode({ id: 'a', seq: 1 }));
    await clock.settle();
    apply(fleetNode({ id: 'a', seq: 2 }));
    const late = new Member();
    expect(group.join(late)).toEqual([{ epoch: 'e', at: '2-0' }]);
    expect(seqs(sent)).toEqual([[1], [2]]);
    apply(fleetNode({ id: 'a', seq: 3 }));
    await clock.advance(BATCH_MS);
    expect(seqs(late.held)).toEqual([[3]]);
    group.goLive(late);
    apply(fleetNode({ id: 'a', seq: 4 }));
    await clock.advance(BATCH_MS);
    expect(seqs(late.held)).toEqual([[3]]);
    expect(seqs(sent)).toEqual([[1], [2], [3], [4]]);
  });

  test('a member that is too slow is let go before the next broadcast', async () => {
    const { group, member } = liveGroup();
    member.fast = false;
    apply(fleetNode({ id: 'a', seq: 1 }));
    await clock.settle();
    expect(group.size).toBe(0);
    expect(sent).toEqual([]);
  });

  test('groups are shared by filters that mean the same, and vanish with their last member', async () => {
    const groups = new FilterGroups({ view, clock, broadcast: (_room, changes) => sent.push(changes) });
    const members = [new Member(), new Member()];
    for (const [index, member] of members.entries()) {
      groups.of({ status: index === 0 ? ['online', 'offline'] : ['offline', 'online'] }, 'full').join(member);
    }
    expect(groups.size).toBe(1);
    for (const member of members) groups.leave({ status: ['online', 'offline'] }, 'full', member);
    expect(groups.size).toBe(0);
    apply(fleetNode({ id: 'a', seq: 1 }));
    await clock.settle();
    expect(members.flatMap(({ held }) => held)).toEqual([]);
  });
});
