import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readRequest } from '../../server/dashboards/requests.ts';
import { CursorCodec, subscriptionKey } from '../../server/picture/cursor.ts';
import {
  type Filter,
  filterFromQuery,
  filterKey,
  filterQuery,
  filterSchema,
  matcher,
  queryPairs,
  STATUSES,
  subscribeSchema,
} from '../../shared/index.ts';
import { fleetNode } from '../support/fixtures.ts';
import { anyJson, fuzzing } from '../support/fuzz.ts';

const node = fleetNode({
  id: 'gpu-1',
  hostname: 'Rack-7.example',
  kind: 'gpu',
  location: 'zürich',
  address: '10.0.0.7:9090',
  labels: { zone: 'a', constructor: 'x' },
  pools: ['p1', 'p2'],
});

describe('what a filter matches', () => {
  const yes: Filter[] = [
    {},
    { status: ['offline', 'online'] },
    { kind: ['web', 'gpu'] },
    { location: 'zürich' },
    { labels: { zone: 'a', constructor: 'x' } },
    { pool: 'p2' },
    { ids: ['a', 'gpu-1'] },
    { q: 'rack-7' },
    { q: 'GPU' },
    { q: '10.0.0.7:' },
  ];
  const no: Filter[] = [
    { status: [] },
    { status: ['offline'] },
    { kind: ['web'] },
    { location: 'Zürich' },
    { labels: { zone: 'b' } },
    { labels: { toString: '' } },
    { pool: 'p' },
    { ids: ['GPU-1'] },
    { q: 'zürich' },
    { kind: ['gpu'], status: ['offline'] },
  ];
  test.each(yes)('[FILTER-1] %j matches', (filter) => {
    expect(matcher(filterSchema.parse(filter))(node)).toBe(true);
  });
  test.each(no)('[FILTER-1] %j does not', (filter) => {
    expect(matcher(filterSchema.parse(filter))(node)).toBe(false);
  });

  test('[FILTER-1] a node without a kind is of none', () => {
    expect(matcher({ kind: ['undefined'] })(fleetNode({ id: 'n' }))).toBe(false);
  });
});

test('[FILTER-2] filters that mean the same have the same key, others another', () => {
  const a: Filter = { status: ['online', 'offline', 'online'], labels: { b: '1', a: '2' }, q: 'X' };
  const b: Filter = { q: 'x', labels: { a: '2', b: '1' }, status: ['offline', 'online'] };
  expect(filterKey(a)).toBe(filterKey(b));
  const all: Filter[] = [
    {},
    { status: [] },
    { kind: [] },
    { ids: [] },
    { labels: {} },
    { kind: ['a', 'b'] },
    { kind: ['a,b'] },
    { ids: ['a', 'b'] },
    { location: 'a' },
    { pool: 'a' },
    { q: 'a' },
    { labels: { a: 'b' } },
    { labels: { b: 'a' } },
  ];
  const keys = all.map(filterKey);
  // An empty set of labels asks for nothing, and may well be told apart from none.
  expect(new Set(keys).size).toBe(keys.length);
});

test.each([
  ['', {}],
  ['status=online&status=offline', { status: ['online', 'offline'] }],
  ['status=online,offline&kind=a', { status: ['online', 'offline'], kind: ['a'] }],
  ['label=zone=a&label=rack=b=c&label=x=', { labels: { zone: 'a', rack: 'b=c', x: '' } }],
  ['label=x', { labels: { x: null } }],
  ['status=ONLINE%2Coffline', { status: ['online', 'offline'] }],
  ['kind=gpu%2Cbig', { kind: ['gpu,big'] }],
  ['kind=a%2Cb,c+d&kind=%2C', { kind: ['a,b', 'c d', ','] }],
  ['?kind=a,b&location=a,b&pool=a%2Cb', { kind: ['a', 'b'], location: 'a,b', pool: 'a,b' }],
  ['location=a&pool=b&q=c&ids=d', { location: 'a', pool: 'b', q: 'c', ids: ['d'] }],
])('[FILTER-3] the query %j is the filter %j', (query, filter) => {
  expect(filterFromQuery(queryPairs(query))).toEqual(filter);
});

test('[FILTER-3] what a filter is written as is read back as the same', () => {
  const filter: Filter = {
    kind: ['a,b', 'c', '%2C'],
    pool: 'x,y',
    labels: { note: 'p=q,r' },
    q: ',',
    ids: ['n'],
  };
  expect(filterFromQuery(queryPairs(`${new URLSearchParams(filterQuery(filter))}`))).toEqual(filter);
});

describe('rubbish', () => {
  test('[FILTER-4] no value makes the schemas throw; what they take, a filter can be made of', () => {
    let taken = 0;
    fc.assert(
      fc.property(
        fc.oneof(
          anyJson,
          fc.record({ filter: anyJson, since: anyJson, fields: anyJson }, { requiredKeys: [] }),
        ),
        (value) => {
          const filter = filterSchema.safeParse(value);
          if (filter.success) {
            taken += 1;
            expect(typeof matcher(filter.data)(node)).toBe('boolean');
            expect(filterKey(filterSchema.parse(JSON.parse(JSON.stringify(filter.data))))).toBe(
              filterKey(filter.data),
            );
          }
          const read = readRequest(subscribeSchema, value);
          if (!read.ok) expect(read).toMatchObject({ code: 'invalid', message: expect.any(String) });
        },
      ),
      fuzzing(1_000),
    );
    expect(taken).toBeGreaterThan(0);
  });

  test('[FILTER-4] no query makes them throw, and none matches more than it says', () => {
    const name = fc.oneof(
      fc.constantFrom('status', 'kind', 'label', 'ids', 'q', 'pool', '__proto__', 'labels'),
      fc.string(),
    );
    const value = fc.oneof(
      fc.constantFrom(...STATUSES, 'zone=a', '__proto__=x', '='),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { minLength: 1, maxLength: 4 }), (pairs) => {
        const filter = filterSchema.safeParse(filterFromQuery(pairs));
        // A filter of something is refused, or filters by something.
        if (filter.success) expect(filterKey(filter.data)).not.toBe(filterKey({}));
      }),
      fuzzing(1_000),
    );
  });

  test('[FILTER-4] no text is a cursor but one that was given out', () => {
    const codec = new CursorCodec(subscriptionKey({}, 'full'));
    const positions = [
      { epoch: 'a', at: '1-0' },
      { epoch: 'b', at: '1700000000000-12' },
    ];
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('base64url')),
        ),
        (text) => {
          expect(codec.decode(text, positions)).toBeUndefined();
        },
      ),
      fuzzing(1_000),
    );
    expect(codec.decode(codec.encode(positions), positions)).toEqual(positions);
  });
});
