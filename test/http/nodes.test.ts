import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../server/runtime/clock.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import { STATUSES } from '../../shared/index.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { soon } from '../support/soon.ts';
import { TestHubs } from '../support/test-hub.ts';
import { ids, list, problemOf, register } from './harness.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

const named = (index: number) => ({ nodeId: `n-${String(index).padStart(3, '0')}` });
const several = (count: number) => Array.from({ length: count }, (_, index) => named(index));

describe('GET /api/v1/nodes', () => {
  test('[API-11] an empty fleet is an empty page', async () => {
    const hub = await hubs.start();
    expect(await list(hub)).toEqual({ nodes: [], count: 0, total: 0, nextCursor: null });
  });

  test('[API-11] the nodes come whole, by hostname and then id, 100 where no limit is asked for', async () => {
    const hub = await hubs.start();
    await register(hub, ...several(101));
    await register(
      hub,
      { nodeId: 'a', hostname: 'zz' },
      { nodeId: 'z', hostname: 'aa' },
      { nodeId: 'b', hostname: 'zz' },
    );
    const page = await list(hub);
    expect([page.count, page.total]).toEqual([100, 104]);
    expect(page.nodes[0]).toEqual(hub.node('z'));
    expect(ids(page).slice(1)).toEqual(several(99).map(({ nodeId }) => nodeId));
    expect(ids(await list(hub, '?limit=1000')).slice(-2)).toEqual(['a', 'b']);
  });

  test.each([1, 2, 7, 40])(
    '[API-12] pages of %i by cursor are the whole fleet, each node once',
    async (limit) => {
      const hub = await hubs.start();
      await register(hub, ...several(40));
      const seen: string[] = [];
      for (let cursor: string | null = '', pages = 0; cursor !== null; pages += 1) {
        expect(pages).toBeLessThan(41);
        const page = await list(hub, `?limit=${limit}${cursor && `&cursor=${cursor}`}`);
        expect(page.total).toBe(40);
        seen.push(...ids(page));
        cursor = page.nextCursor;
      }
      expect(seen).toEqual(several(40).map(({ nodeId }) => nodeId));
    },
  );

  test('[API-12] pages stay right while nodes come and go', async () => {
    const hub = await hubs.start();
    await register(hub, ...several(30));
    const first = await list(hub, '?limit=10');
    // Gone: one already seen, the very last seen, and one to come. New: before and after the place.
    for (const id of ['n-003', 'n-009', 'n-015']) {
      await hub.hub.fleet.removals.remove(id, { reason: 'removed_by_operator' });
    }
    await register(hub, { nodeId: 'n-0005' }, { nodeId: 'n-0105' });
    const second = await list(hub, `?limit=10&cursor=${first.nextCursor}`);
    expect(ids(second)).toEqual([
      ...['n-010', 'n-0105', 'n-011', 'n-012', 'n-013', 'n-014', 'n-016', 'n-017', 'n-018', 'n-019'],
    ]);
    expect(second.total).toBe(29);
    const third = await list(hub, `?limit=20&cursor=${second.nextCursor}`);
    expect(ids(third)).toEqual(
      several(30)
        .slice(20)
        .map(({ nodeId }) => nodeId),
    );
    expect(third.nextCursor).toBeNull();
  });

  test('[API-12] a cursor behind which nothing is left gives an empty last page', async () => {
    const hub = await hubs.start();
    await register(hub, ...several(3));
    const { nextCursor } = await list(hub, '?limit=2');
    await hub.hub.fleet.removals.remove('n-002', { reason: 'removed_by_operator' });
    expect(await list(hub, `?cursor=${nextCursor}`)).toEqual({
      nodes: [],
      count: 0,
      total: 2,
      nextCursor: null,
    });
  });

  const filters: Array<[string, string[]]> = [
    ['status=online', ['gpu-1', 'gpu-2', 'web-1']],
    ['status=degraded', []],
    ['status=unreachable', ['web-2']],
    ['status=unreachable,offline&status=online', ['gpu-1', 'gpu-2', 'web-1', 'web-2']],
    ['kind=gpu', ['gpu-1', 'gpu-2']],
    ['kind=gpu&kind=web', ['gpu-1', 'gpu-2', 'web-1', 'web-2']],
    ['kind=gpu,web&location=z%C3%BCrich', ['gpu-1', 'web-1']],
    ['label=zone=a', ['gpu-1', 'web-1']],
    ['label=zone=a&label=rack%3Dr1', ['gpu-1']],
    ['label=note=a%3Db', ['gpu-2']],
    ['label=constructor=x', []],
    ['label=zone=', []],
    ['status=ONLINE,Unreachable&kind=gpu', ['gpu-1', 'gpu-2']],
    ['status=online%2Cunreachable&q=2', ['gpu-2', 'web-2']],
    ['kind=gpu%2Cweb', []],
    ['kind=gpu%2Cbig,web', ['web-1', 'web-2']],
    ['pool=p1', ['gpu-2']],
    ['ids=web-1,gpu-2,none', ['gpu-2', 'web-1']],
    ['q=WEB', ['web-1', 'web-2']],
    ['q=10.0.0.', ['gpu-1']],
    ['q=%25', []],
    ['kind=gpu&q=2', ['gpu-2']],
  ];
  test.each(filters)('[API-13] ?%s', async (query, expected) => {
    const hub = await hubs.start();
    const [, , , lost] = await register(
      hub,
      {
        nodeId: 'gpu-1',
        kind: 'gpu',
        location: 'zürich',
        labels: { zone: 'a', rack: 'r1' },
        address: '10.0.0.1',
      },
      { nodeId: 'gpu-2', kind: 'gpu', labels: { zone: 'b', note: 'a=b' }, pools: ['p1'] },
      { nodeId: 'web-1', kind: 'web', location: 'zürich', labels: { zone: 'a' } },
      { nodeId: 'web-2', kind: 'web' },
    );
    if (!lost) throw new Error('not registered');
    await hub.hub.fleet.closed(lost.session, { goodbye: false, code: 1006 });
    await soon(() => hub.node('web-2')?.status === 'unreachable');
    const page = await list(hub, `?${query}`);
    expect(ids(page)).toEqual(expected);
    expect(page.total).toBe(expected.length);
  });

  const wrong: Array<[string, string]> = [
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=-1', 'limit'],
    ['limit=1.5', 'limit'],
    ['limit=ten', 'limit'],
    ['limit=', 'limit'],
    ['limit=0x10', 'limit'],
    ['limit=1e2', 'limit'],
    ['limit=5&limit=6', 'limit'],
    ['cursor=', 'cursor'],
    ['cursor=abc', 'cursor'],
    ['cursor=%00', 'cursor'],
    [`cursor=${Buffer.from('["a"]').toString('base64url')}`, 'cursor'],
    [`cursor=${Buffer.from('{"a":1}').toString('base64url')}`, 'cursor'],
    [`cursor=${Buffer.from('[1,2]').toString('base64url')}`, 'cursor'],
    ['status=up', 'status.0'],
    ['status=', 'status.0'],
    ['status=online,up', 'status.1'],
    [`status=${Array(65).fill(STATUSES[0]).join(',')}`, 'status'],
    ['kind=', 'kind.0'],
    [`location=${'x'.repeat(254)}`, 'location'],
    ['location=a&location=b', 'location'],
    ['location=a%0Ab', 'location'],
    ['pool=', 'pool'],
    ['ids=a%20b', 'ids.0'],
    ['label=a%20b=c', 'labels.a b'],
    ['label=', 'label'],
    ['label=zone', 'label'],
    ['label=a=b&label=toString', 'label'],
    ['fields=hostname,colour', 'fields'],
    ['fields=', 'fields'],
    ['sort=hostnam', 'sort'],
    ['label=zone=a&label=zone=b', 'labels.zone'],
    ['label=__proto__=x', 'labels.__proto__'],
    ['labels=zone', 'labels'],
    ['q=', 'q'],
    ['q=a&q=b', 'q'],
    ['colour=red', 'colour'],
    ['Status=online', 'Status'],
    ['__proto__=x', '__proto__'],
    ['constructor=x', 'constructor'],
    ['status%5B0%5D=online', 'status[0]'],
  ];
  test.each(wrong)('[API-14] ?%s is refused, naming the field', async (query, path) => {
    const hub = await hubs.start();
    await register(hub, named(1));
    const problem = await problemOf(await hub.fetch(`/api/v1/nodes?${query}`));
    expect(problem).toMatchObject({ status: 400, code: 'invalid', path });
    expect(problem.detail).toContain(path === '' ? '' : path.split('.')[0]);
  });
});

describe('GET /api/v1/nodes/:id', () => {
  test('[API-18] the node with its live figures', async () => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1', kind: 'gpu' });
    agent.send({ type: 'stats', stats: { cpuPercent: 12.5, metrics: { watts: 300 } } });
    await agent.ping();
    await hub.hub.fleet.flush();
    expect(await (await hub.fetch('/api/v1/nodes/n-1')).json()).toEqual({
      ...hub.node('n-1'),
      stats: { cpuPercent: 12.5, metrics: { watts: 300 }, lastHeartbeatAt: expect.stringMatching(/Z$/) },
    });
  });

  test.each(['a'.repeat(253), `a${'._:-'.repeat(40)}`, 'constructor'])(
    '[API-18] every id that may be registered may be read: %s',
    async (nodeId) => {
      const hub = await hubs.start();
      await register(hub, { nodeId, hostname: 'h' });
      const response = await hub.fetch(`/api/v1/nodes/${encodeURIComponent(nodeId)}`);
      expect(await response.json()).toMatchObject({ id: nodeId });
      expect((await hub.fetch(`/api/v1/nodes/${nodeId}`)).status).toBe(200);
    },
  );

  test.each([
    'n-2',
    '__proto__',
    'toString',
    '%F0%9F%9B%B0',
    'a%20b',
    'a%2Fb',
    '%00',
    '..%2Fn-1',
    'x'.repeat(254),
    'x'.repeat(4_000),
    '',
  ])('[API-19] %j is not there: 404 with problem details', async (id) => {
    const hub = await hubs.start();
    await register(hub, { nodeId: 'n-1' });
    expect(await problemOf(await hub.fetch(`/api/v1/nodes/${id}`))).toMatchObject({
      status: 404,
      code: 'not_found',
    });
  });

  test('[API-19] a removed node is not there', async () => {
    const hub = await hubs.start();
    await register(hub, { nodeId: 'n-1' });
    await hub.hub.fleet.removals.remove('n-1', { reason: 'removed_by_operator' });
    expect((await hub.fetch('/api/v1/nodes/n-1')).status).toBe(404);
  });
});

describe('without the store', () => {
  async function withFaultyStore() {
    const store = new FaultyStore(new MemoryStore(new MemoryFleet(systemClock, 4)));
    const hub = await hubs.start({ store });
    await register(hub, { nodeId: 'n-1' });
    return { store, hub };
  }

  test('[API-23] what the view knows is served; what only the store could know is 503', async () => {
    const { store, hub } = await withFaultyStore();
    store.fault = 'away';
    expect(ids(await list(hub))).toEqual(['n-1']);
    const known = await hub.fetch('/api/v1/nodes/n-1');
    expect(await known.json()).toEqual(hub.node('n-1'));
    expect(await problemOf(await hub.fetch('/api/v1/nodes/n-2'))).toMatchObject({
      status: 503,
      code: 'store_away',
    });
  });

  test('[API-25] /readyz says no while the store is away, and yes when it is back; /healthz is alive all the time', async () => {
    const { store, hub } = await withFaultyStore();
    const ready = async () => {
      const response = await hub.fetch('/readyz');
      return [response.status, await response.json()];
    };
    expect(await ready()).toEqual([
      200,
      {
        ...{ status: 'ready', serves: 'all', viewLoaded: true, store: 'live' },
        ...{ since: expect.any(String), storeUnheardMs: expect.any(Number), hubs: 1 },
      },
    ]);
    store.fault = 'away';
    await soon(() => hub.hub.fleet.state.state === 'stale');
    expect(await ready()).toMatchObject([503, { status: 'not ready', store: 'stale' }]);
    const alive = await hub.fetch('/healthz');
    expect([alive.status, await alive.json()]).toEqual([200, { status: 'alive' }]);
    store.fault = 'none';
    await soon(() => hub.hub.fleet.state.state === 'live');
    expect(await ready()).toMatchObject([200, { status: 'ready' }]);
  });

  test('[API-25] while the view is loading, lists are 503 and the hub is not ready', async () => {
    const store = new LoadingStore(new MemoryStore(new MemoryFleet(systemClock, 4)));
    const hub = await hubs.start({ store });
    expect(await problemOf(await hub.fetch('/api/v1/nodes'))).toMatchObject({
      status: 503,
      code: 'not_ready',
    });
    const ready = await hub.fetch('/readyz');
    expect([ready.status, await ready.json()]).toMatchObject([
      503,
      { status: 'not ready', viewLoaded: false },
    ]);
  });
});

/** A store that is there, but whose fleet never comes. */
class LoadingStore extends FaultyStore {
  override snapshot: FaultyStore['snapshot'] = () => Promise.reject(new Error('still loading'));
}
