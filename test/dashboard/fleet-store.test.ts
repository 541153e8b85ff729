import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FleetStore } from '../../dashboard/store/fleet-store.ts';
import { lose, Opened } from '../dashboards/harness.ts';
import { sendStats } from '../support/test-fleet.ts';
import { until } from '../support/until.ts';

const frame = (run: () => void): void => void setTimeout(run, 5);

describe('the store of the page on a hub', () => {
  let opened: Opened;
  beforeEach(() => {
    opened = new Opened();
  });
  afterEach(() => opened.close());

  const storeOn = (url: string, token?: string): FleetStore => {
    const store = new FleetStore({
      hubUrl: `${url}/`,
      schedule: frame,
      link: { reconnectDelayMs: 20, echoEveryMs: 100 },
    });
    opened.onClose(() => store.close());
    store.connect(token);
    return store;
  };
  const live = (store: FleetStore) => until('it is live', () => store.standing.link.kind === 'live');

  it('shows the fleet and every change of it, and tells of a frame once', async () => {
    const hub = await opened.hub();
    const agents = await Promise.all(['a', 'b', 'c'].map((nodeId) => hub.register({ nodeId })));
    const store = storeOn(hub.url);
    await live(store);
    expect(store.counts.status.online).toBe(3);
    expect(store.standing.hub).toMatchObject({ state: 'live', hubs: 1 });
    let told = 0;
    store.listenToNews(() => {
      told += 1;
    });
    await Promise.all(agents.map((agent) => lose(hub, agent)));
    await until('all are unreachable', () => store.counts.status.unreachable === 3);
    expect(told).toBeLessThanOrEqual(3);
    expect(store.feed.groups('trouble', () => true, 10).reduce((sum, { count }) => sum + count, 0)).toBe(3);
  });

  it('follows the state of the hub, and the figures of what is watched', async () => {
    const hub = await opened.hub();
    const agent = await hub.register({ nodeId: 'a' });
    sendStats(hub.fleet, agent.session, { cpuPercent: 42 });
    await hub.fleet.flush();
    const store = storeOn(hub.url);
    await live(store);
    store.watch('table', ['a']);
    await until('figures came', () => store.figures.get('a')?.cpuPercent === 42);
    hub.store.fault = 'away';
    await until('the store is lost', () => store.standing.hub?.state === 'stale');
    hub.store.fault = 'none';
    await until('it is back', () => store.standing.hub?.state === 'live');
    store.watch('table', []);
    expect(store.figures.get('a')).toBeUndefined();
  });

  it('reads a node and its history, and says where there is none', async () => {
    const hub = await opened.hub();
    await hub.register({ nodeId: 'a' });
    const store = storeOn(hub.url);
    await live(store);
    expect((await store.node('a'))?.node.id).toBe('a');
    expect(await store.node('nobody')).toBeUndefined();
    expect(await store.history({ nodeId: 'a', limit: 5 })).toMatchObject([{ type: 'registered' }]);
  });

  it('comes back by itself, and dates the picture by when the hub was last heard of', async () => {
    const hub = await opened.hub();
    await hub.register({ nodeId: 'a' });
    const store = storeOn(hub.url);
    await live(store);
    const port = Number(new URL(hub.url).port);
    await hub.close();
    await until('it is away', () => store.standing.link.kind === 'away');
    const { link, heardAt } = store.standing;
    expect(link).toMatchObject({ since: heardAt });
    expect(store.picture.size).toBe(1);
    const next = await opened.hub({ port });
    await next.register({ nodeId: 'b' });
    await live(store);
    expect([...store.picture.nodes.keys()]).toEqual(['b']);
  });

  it('hears signs of life while nothing happens', async () => {
    const hub = await opened.hub();
    const store = storeOn(hub.url);
    await live(store);
    const { heardAt = 0 } = store.standing;
    await until('the hub was heard of again', () => (store.standing.heardAt ?? 0) > heardAt + 150);
  });

  it('says whether a token is missing, wrong or for something else, and goes on with a right one', async () => {
    const rules = { agentTokens: ['agent-token'], dashboardTokens: ['reader-token'] };
    const hub = await opened.hub({ rules });
    const store = storeOn(hub.url);
    const refused = (code: string) =>
      until(code, () => store.standing.link.kind === 'refused' && store.standing.link.code === code);
    await refused('token_missing');
    store.connect('wrong-token');
    await refused('token_wrong');
    store.connect('agent-token');
    await refused('forbidden');
    store.connect('reader-token');
    await live(store);
  });
});
