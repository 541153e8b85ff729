import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Picture } from '../../client/index.ts';
import { FleetCounts } from '../../dashboard/store/fleet-counts.ts';
import { Grouping } from '../../dashboard/store/grouping.ts';
import { OrderedRows } from '../../dashboard/store/ordered-rows.ts';
import { RowView, rowOrder } from '../../dashboard/store/row-view.ts';
import type { Row } from '../../dashboard/store/rows.ts';
import { matcher, STATUSES } from '../../shared/index.ts';
import { eventOf, row } from './rows.ts';

const byNumber = (a: number, b: number): number => a - b;

describe('rows in order', () => {
  it('are those of a sorted array after any insertions and removals', () => {
    const step = fc.record({ value: fc.integer({ min: 0, max: 3_000 }), out: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 2_000 }), (steps) => {
        const rows = new OrderedRows(byNumber);
        const model = new Set<number>();
        for (const { value, out } of steps) {
          if (out) expect(rows.remove(value)).toBe(model.delete(value));
          else if (!model.has(value)) {
            rows.insert(value);
            model.add(value);
          }
        }
        const sorted = [...model].sort(byNumber);
        expect([...rows]).toEqual(sorted);
        expect(rows.size).toBe(sorted.length);
        for (const [index, value] of sorted.entries()) {
          expect(rows.at(index)).toBe(value);
          expect(rows.indexOf(value)).toBe(index);
        }
      }),
      { numRuns: 20 },
    );
  });
});

const changeOf = fc.record({
  id: fc.integer({ min: 0, max: 30 }).map((number) => `n${number}`),
  status: fc.constantFrom(...STATUSES),
  zone: fc.constantFrom('a', 'b', undefined),
  removed: fc.boolean(),
});

describe('what follows from each change', () => {
  it('is what one would get by looking at the whole fleet', () => {
    fc.assert(
      fc.property(fc.array(changeOf, { maxLength: 300 }), (steps) => {
        const picture = new Picture<Row>(false);
        const counts = new FleetCounts();
        const view = new RowView(picture);
        const grouping = new Grouping(picture);
        const sort = { key: 'status', descending: true } as const;
        const filter = { labels: { zone: 'a' } };
        view.ask(filter, sort);
        grouping.ask('label:zone');
        let seq = 0;
        for (const { id, status, zone, removed } of steps) {
          seq += 1;
          const after = row(id, { seq, status, labels: zone === undefined ? {} : { zone } });
          const applied = picture.apply(eventOf(after, { type: removed ? 'removed' : 'updated' }));
          if (applied.kind !== 'applied') throw new Error(applied.kind);
          counts.changed(applied);
          view.changed(applied);
          grouping.changed(applied);
          expect([...view.rows].length).toBe(view.rows.size);
          grouping.groups;
        }
        const all = [...picture.nodes.values()];
        expect([...view.rows]).toEqual(all.filter(matcher(filter)).sort(rowOrder(sort)));
        for (const status of STATUSES)
          expect(counts.status[status]).toBe(all.filter((one) => one.status === status).length);
        for (const group of grouping.groups) expectGroup(group, all, grouping);
        expect(grouping.groups.length).toBe(new Set(all.map(({ labels }) => labels.zone)).size);
        const zones = counts.facets.values('label:zone');
        for (const zone of ['a', 'b'])
          expect(zones.get(zone) ?? 0).toBe(all.filter(({ labels }) => labels.zone === zone).length);
      }),
      { numRuns: 60 },
    );
  });

  it('leaves every node at its place when only its status changes', () => {
    const picture = new Picture<Row>(true);
    for (const id of ['a', 'b', 'c']) picture.load(row(id, { kind: 'gpu' }));
    const grouping = new Grouping(picture);
    grouping.ask('kind');
    const { shape } = grouping;
    const place = grouping.placeOf('b');
    const applied = picture.apply(eventOf(row('b', { seq: 2, kind: 'gpu', status: 'offline' })));
    if (applied.kind === 'applied') grouping.changed(applied);
    expect(grouping.shape).toBe(shape);
    expect(grouping.placeOf('b')).toEqual(place);
    expect(place?.group.counts).toMatchObject({ online: 2, offline: 1 });
  });
});

function expectGroup(group: Grouping['groups'][number], all: Row[], grouping: Grouping): void {
  const mine = all.filter(({ labels }) => labels.zone === group.value);
  expect(new Set(group.places.filter((id) => id !== undefined))).toEqual(new Set(mine.map(({ id }) => id)));
  for (const status of STATUSES)
    expect(group.counts[status]).toBe(mine.filter((one) => one.status === status).length);
  for (const { id } of mine) {
    const place = grouping.placeOf(id);
    expect(place?.group.places[place.index]).toBe(id);
  }
}

describe('the order of rows', () => {
  it('has what needs eyes first, and what has no value last either way', () => {
    const rows = [row('d'), row('c', { status: 'offline' }), row('b', { status: 'degraded' }), row('a')];
    const names = (order: (a: Row, b: Row) => number): string[] => [...rows].sort(order).map(({ id }) => id);
    expect(names(rowOrder({ key: 'status', descending: false }))).toEqual(['c', 'b', 'a', 'd']);
    rows.push(row('x', { kind: 'gpu' }), row('y', { kind: 'edge' }));
    expect(names(rowOrder({ key: 'kind', descending: false })).slice(0, 2)).toEqual(['y', 'x']);
    expect(names(rowOrder({ key: 'kind', descending: true })).slice(0, 2)).toEqual(['x', 'y']);
  });
});
