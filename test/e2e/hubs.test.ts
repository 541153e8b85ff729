import { once } from 'node:events';
import { setTimeout as passes } from 'node:timers/promises';
import { describe } from 'vitest';
import { budget } from '../support/budget.ts';
import { until } from '../support/until.ts';
import { FAST_TIMEOUT_MS, fleetTest } from './fleet-under-test.ts';

/** Longer than any node may be silent. */
const LONGER_MS = FAST_TIMEOUT_MS + budget(1_000);

const it = fleetTest();

describe.concurrent('hubs that end, on one Redis', () => {
  it('[E2E-1] agents of a hub that is killed come back on another and never show as anything but online', async ({
    fleet,
    settings,
    expect,
  }) => {
    const [first, second] = await Promise.all([fleet.hub(settings), fleet.hub(settings)]);
    const urls = [first.agentUrl, second.agentUrl];
    const ids = Array.from({ length: 12 }, (_, index) => `n-${index}`);
    await Promise.all(ids.map((id) => fleet.agent(id, urls)));
    const dashboard = await fleet.dashboard(second);
    await first.kill();
    await passes(2 * LONGER_MS);
    for (const id of ids) {
      expect(dashboard.status(id)).toBe('online');
      expect(new Set([...dashboard.shown(id), 'online'])).toEqual(new Set(['online']));
    }
    expect(dashboard.events.some(({ type }) => type === 'reregistered')).toBe(true);
    await fleet.expectTrue(dashboard, second);
  });

  it('[E2E-2] so too when a hub is frozen for longer than the timeout and wakes up', async ({
    fleet,
    settings,
    expect,
  }) => {
    const [first, second] = await Promise.all([fleet.hub(settings), fleet.hub(settings)]);
    const urls = [first.agentUrl, second.agentUrl];
    const ids = Array.from({ length: 6 }, (_, index) => `n-${index}`);
    await Promise.all(ids.map((id) => fleet.agent(id, urls)));
    const dashboard = await fleet.dashboard(second);
    first.pause();
    await passes(2 * LONGER_MS);
    first.resume();
    await passes(LONGER_MS);
    for (const id of ids)
      expect(new Set([...dashboard.shown(id), dashboard.status(id)])).toEqual(new Set(['online']));
    await fleet.expectTrue(dashboard, second);
    const other = await fleet.dashboard(first);
    await fleet.expectTrue(other, second);
  });

  it('[E2E-3] a hub alone that is frozen and wakes up calls nobody offline', async ({
    fleet,
    settings,
    expect,
  }) => {
    const hub = await fleet.hub(settings);
    await fleet.agent('n', hub.agentUrl);
    const dashboard = await fleet.dashboard(hub);
    hub.pause();
    await passes(LONGER_MS);
    hub.resume();
    await passes(LONGER_MS);
    expect(dashboard.status('n')).toBe('online');
    expect(dashboard.shown('n')).not.toContain('offline');
    await fleet.expectTrue(dashboard, hub);
  });

  it('[E2E-4] SIGTERM closes agents with 1012, ends with 0 within 8 s, and the nodes stay online', async ({
    fleet,
    settings,
    expect,
  }) => {
    const [first, second] = await Promise.all([fleet.hub(settings), fleet.hub(settings)]);
    const agent = await fleet.agent('n', first.agentUrl);
    const dashboard = await fleet.dashboard(second);
    const closed = once(agent, 'closed');
    expect(await first.terminate()).toBe(0);
    expect((await closed)[0]).toMatchObject({ code: 1012 });
    await passes(1_000);
    expect(dashboard.status('n')).toBe('online');
    expect(dashboard.shown('n')).toEqual([]);
  });

  it('[E2E-5] a dashboard resumes on another hub without a gap and without a new picture', async ({
    fleet,
    settings,
    expect,
  }) => {
    const [first, second] = await Promise.all([fleet.hub(settings), fleet.hub(settings)]);
    const agent = await fleet.agent('n', second.agentUrl);
    const dashboard = await fleet.dashboard(first);
    await first.kill();
    await agent.stop();
    await fleet.agent('m', second.agentUrl);
    const resumed = new Promise((resolve) => dashboard.client.once('subscribed', resolve));
    dashboard.client.start({ hubUrl: second.url });
    expect(await resumed).toEqual({ resumed: true });
    await fleet.expectTrue(dashboard, second);
    expect(dashboard.events.map(({ nodeId, type }) => `${nodeId} ${type}`)).toEqual([
      'n status',
      'm registered',
    ]);
  });

  it('[E2E-6] when all hubs were down for longer than the timeout, no node is expired by the old heartbeats', async ({
    fleet,
    settings,
    expect,
  }) => {
    const hub = await fleet.hub(settings);
    await fleet.agent('back', hub.agentUrl, { random: () => 0.1 });
    const port = new URL(hub.url).port;
    await hub.kill();
    await passes(LONGER_MS);
    const again = await fleet.hub({ ...settings, PORT: port });
    const dashboard = await fleet.dashboard(again);
    expect(dashboard.status('back')).toBe('online');
    await until('the agent is back', () => dashboard.shown('back').includes('online'), 60_000);
    expect(dashboard.shown('back')).not.toContain('offline');
    await fleet.expectTrue(dashboard, again);
  });

  it('[E2E-7] a machine that vanishes is unreachable at once where its socket breaks, and offline after the timeout', async ({
    fleet,
    settings,
    expect,
  }) => {
    const [first, second] = await Promise.all([fleet.hub(settings), fleet.hub(settings)]);
    const agent = await fleet.agent('n', first.agentUrl);
    const dashboard = await fleet.dashboard(second);
    await first.kill();
    await agent.stop();
    await until('it is unreachable', () => dashboard.status('n') === 'unreachable');
    await until('it is offline', () => dashboard.status('n') === 'offline');
    expect(dashboard.events.map(({ to, reason }) => [to, reason])).toEqual([
      ['unreachable', 'hub_lost'],
      ['offline', 'heartbeat_timeout'],
    ]);
    await fleet.expectTrue(dashboard, second);
  });
});
