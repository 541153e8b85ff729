import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../server/runtime/clock.ts';
import { MemoryFleet } from '../../server/store/memory/memory-store.ts';
import { hubStateSchema } from '../../shared/index.ts';
import { soon } from '../support/soon.ts';
import { Opened } from './harness.ts';

const opened = new Opened();
afterEach(() => opened.close());

describe('the state of the hub', () => {
  test('[HST-2] every dashboard hears when the hub loses sight of the store, and when it is back', async () => {
    const hub = await opened.hub();
    await hub.register({ nodeId: 'a' });
    const follower = await opened.dashboard(hub);
    const idle = await opened.dashboard(hub);
    await follower.follow();
    hub.store.fault = 'away';
    for (const dashboard of [follower, idle]) {
      expect(hubStateSchema.parse(await dashboard.hears('hub'))).toMatchObject({ state: 'stale' });
    }
    hub.store.fault = 'none';
    for (const dashboard of [follower, idle]) {
      expect(hubStateSchema.parse(await dashboard.hears('hub', 2))).toMatchObject({ state: 'live' });
    }
    await hub.register({ nodeId: 'b' });
    await follower.hearsEvents(1);
    expect(follower.heard('resync')).toEqual([]);
  });

  test('[HST-1] while it is stale, a subscription is served from the view, and told so', async () => {
    const hub = await opened.hub();
    await hub.register({ nodeId: 'a' });
    hub.store.fault = 'away';
    await soon(() => hub.fleet.state.state === 'stale');
    const dashboard = await opened.dashboard(hub);
    expect(await dashboard.follow()).toMatchObject({ total: 1, hub: { state: 'stale' } });
    hub.store.fault = 'none';
    await dashboard.hears('hub');
    await hub.register({ nodeId: 'b' });
    expect((await dashboard.hearsEvents(1)).map(({ nodeId }) => nodeId)).toEqual(['b']);
  });

  test('[HST-3] the state says how many hubs there are', async () => {
    const memory = new MemoryFleet(systemClock, 1);
    const first = await opened.hub({ memory, hubId: 'hub-a' });
    expect(await (await opened.dashboard(first)).follow()).toMatchObject({ hub: { hubs: 1 } });
    const second = await opened.hub({ memory, hubId: 'hub-b' });
    expect(await (await opened.dashboard(second)).follow()).toMatchObject({ hub: { hubs: 2 } });
  });
});
