import { beforeEach, describe, expect, it } from 'vitest';
import type { PageRequest } from '../../server/picture/node-index.ts';
import { LISTS_IDLE_MS, NodeLists } from '../../server/picture/node-lists.ts';
import { Slices } from '../../server/runtime/slices.ts';
import type { FleetNode } from '../../shared/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { fleetNode } from '../support/fixtures.ts';
import { WorkingClock } from '../support/working-clock.ts';

const MANY = 12_000;
const named = (n: number, hostname = `host-${(n * 7_919) % 100_003}`): FleetNode =>
  fleetNode({ id: `n${n}`, hostname, status: n % 3 ? 'online' : 'offline' });
const request = (about: Partial<PageRequest> = {}): PageRequest => ({
  filter: {},
  sort: 'hostname',
  descending: false,
  limit: 50,
  ...about,
});
const byHostname = (a: FleetNode, b: FleetNode): number =>
  a.hostname === b.hostname ? (a.id < b.id ? -1 : 1) : a.hostname < b.hostname ? -1 : 1;

describe('the index behind lists', () => {
  let clock: FakeClock;
  let fleet: Map<string, { node: FleetNode }>;
  let lists: NodeLists;

  beforeEach(() => {
    clock = new FakeClock();
    fleet = new Map();
    lists = new NodeLists({ ids: () => fleet.keys(), get: (id) => fleet.get(id) }, clock, new Slices(clock));
  });

  const put = (node: FleetNode): void => {
    fleet.set(node.id, { node });
    lists.put(node);
  };
  const remove = (id: string): void => {
    fleet.delete(id);
    lists.delete(id);
  };
  const inOrder = (): string[] =>
    [...fleet.values()]
      .map(({ node }) => node)
      .sort(byHostname)
      .map(({ id }) => id);

  /** All pages of a request, one after the other. */
  async function walk(about: Partial<PageRequest>): Promise<string[]> {
    const ids: string[] = [];
    let after: PageRequest['after'];
    do {
      const asked = request({ ...about, limit: 1_000, ...(after && { after }) });
      const { nodes, end } = (await lists.open(asked)).page(asked);
      ids.push(...nodes.map(({ id }) => id));
      after = end;
    } while (after);
    return ids;
  }

  it('[API-29] the index of lists is there from the first list until nobody asked for five minutes', async () => {
    for (let n = 0; n < 10; n += 1) put(named(n));
    expect(lists.kept).toBe(false);
    expect((await lists.open()).size).toBe(10);
    await clock.advance(LISTS_IDLE_MS - 1_000);
    await lists.open();
    await clock.advance(LISTS_IDLE_MS - 1_000);
    expect(lists.kept).toBe(true);
    await clock.advance(1_001);
    expect(lists.kept).toBe(false);
    put(named(10));
    expect((await lists.open()).size).toBe(11);
  });

  it('[RES-4] is right when nodes came, changed and went while it was filled and put in order', async () => {
    const working = new WorkingClock();
    const listed = { ids: () => fleet.keys(), get: (id: string) => fleet.get(id) };
    lists = new NodeLists(listed, working, new Slices(working));
    for (let n = 0; n < MANY; n += 1) put(named(n));
    let filled = false;
    const opening = lists.open(request()).finally(() => {
      filled = true;
    });
    let changes = 0;
    for (; !filled; changes += 1) {
      put(named(changes % MANY, `moved-${changes % 977}`));
      remove(`n${(changes * 31 + 7) % MANY}`);
      put(named(MANY + changes));
      await working.advance(1);
    }
    await opening;
    expect(changes).toBeGreaterThan(10);
    expect(await walk({})).toEqual(inOrder());
    expect(await walk({ descending: true })).toEqual(inOrder().reverse());
  });

  it('picks the same pages from a few nodes as from a kept order', async () => {
    for (let n = 0; n < MANY; n += 1) put(named(n));
    const offline = inOrder().filter((id) => fleet.get(id)?.node.status === 'offline');
    expect(offline.length).toBeLessThan(10_000);
    expect(await walk({ filter: { status: ['offline'] } })).toEqual(offline);
    expect(await walk({ filter: { status: ['offline'] }, descending: true })).toEqual(offline.toReversed());
    const { nodes, total } = (await lists.open()).page(request({ filter: { q: 'HOST-9' }, limit: 3 }));
    const found = inOrder().filter((id) => fleet.get(id)?.node.hostname.includes('host-9'));
    expect([nodes.map(({ id }) => id), total]).toEqual([found.slice(0, 3), found.length]);
  });

  it('answers those who ask while another asks', async () => {
    for (let n = 0; n < MANY; n += 1) put(named(n));
    const asked = [request(), request({ sort: 'status' }), request({ filter: { q: 'host' } }), request()];
    const pages = await Promise.all(asked.map(async (one) => (await lists.open(one)).page(one)));
    for (const { total } of pages) expect(total).toBe(MANY);
    expect(pages[3]).toEqual(pages[0]);
  });
});
