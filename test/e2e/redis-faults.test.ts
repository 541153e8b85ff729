import { setTimeout as passes } from 'node:timers/promises';
import { describe } from 'vitest';
import { budget } from '../support/budget.ts';
import { until } from '../support/until.ts';
import { type Dashboard, FAST_TIMEOUT_MS, fleetTest } from './fleet-under-test.ts';

/** Longer than any node may be silent. */
const LONGER_MS = FAST_TIMEOUT_MS + budget(1_000);
const it = fleetTest({ appendonly: true, args: ['--appendfsync', 'always'] });

/** What must not change over a fault: who is there, since when, and that no version goes back. */
const identities = ({ client }: Dashboard) =>
  new Map(
    [...client.nodes.values()].map((node) => [node.id, 'createdAt' in node ? node.createdAt : undefined]),
  );
const seqs = ({ client }: Dashboard) => new Map([...client.nodes.values()].map(({ id, seq }) => [id, seq]));

const recovered = ({ states }: Dashboard) => states.at(-1) === 'live' && states.includes('stale');

describe.concurrent('a Redis that is away or loses data', () => {
  it.for([
    ['shorter', 1_000],
    ['longer', LONGER_MS],
  ] as const)(
    '[E2E-8] paused for %s than the timeout: agents stay connected, nobody who beats turns offline',
    async ([, pauseMs], { fleet, redis, settings, expect }) => {
      const hubs = await Promise.all([fleet.hub(settings), fleet.hub(settings)]);
      const agents = await Promise.all(hubs.map((hub, index) => fleet.agent(`n-${index}`, hub.agentUrl)));
      const closes: unknown[] = [];
      for (const agent of agents) agent.on('closed', (how) => void closes.push(how));
      const dashboard = await fleet.dashboard(hubs[0]);
      redis.pause();
      await passes(pauseMs + 2_500);
      expect((await fetch(`${hubs[0].url}/readyz`)).status).toBe(503);
      expect((await fetch(`${hubs[0].url}/healthz`)).status).toBe(200);
      redis.resume();
      await until('the hub sees its store again', () => recovered(dashboard));
      await passes(LONGER_MS);
      expect(dashboard.events.map(({ to }) => to)).not.toContain('offline');
      expect(closes).toEqual([]);
      await fleet.expectTrue(dashboard, hubs[1]);
    },
  );

  it('[E2E-9] killed and restarted with its data after longer than the timeout: nobody who beats turns offline', async ({
    fleet,
    redis,
    settings,
    expect,
  }) => {
    const hub = await fleet.hub(settings);
    await fleet.agent('n', hub.agentUrl);
    const gone = await fleet.agent('gone', hub.agentUrl);
    const dashboard = await fleet.dashboard(hub);
    await redis.kill();
    await gone.stop();
    await passes(LONGER_MS);
    await redis.restart({ keepData: true });
    await until('the hub sees its store again', () => recovered(dashboard));
    await until('the goodbye of the outage is told', () => dashboard.status('gone') === 'offline');
    await passes(LONGER_MS);
    expect(dashboard.shown('n')).not.toContain('offline');
    expect(dashboard.events.at(-1)).toMatchObject({ nodeId: 'gone', reason: 'agent_stopped' });
    await fleet.expectTrue(dashboard, hub);
  });

  it.for(['restarted without its data', 'emptied by FLUSHALL'] as const)(
    '[E2E-10] %s: the same nodes stand there, offline ones too, and versions never go back',
    async (fault, { fleet, redis, settings, expect }) => {
      const hubs = await Promise.all([fleet.hub(settings), fleet.hub(settings)]);
      await Promise.all(hubs.map((hub, index) => fleet.agent(`n-${index}`, hub.agentUrl)));
      const stopped = await fleet.agent('stopped', hubs[0].agentUrl);
      await stopped.stop();
      const dashboard = await fleet.dashboard(hubs[1]);
      await until('it is offline', () => dashboard.status('stopped') === 'offline');
      const [ids, versions] = [identities(dashboard), seqs(dashboard)];
      if (fault === 'emptied by FLUSHALL') await redis.cli('FLUSHALL');
      else await redis.restart({ keepData: false });
      await until('the dashboard is told to resync', () => dashboard.resyncs > 0);
      await passes(LONGER_MS);
      await fleet.expectTrue(dashboard, hubs[0]);
      expect(identities(dashboard)).toEqual(ids);
      for (const [id, seq] of seqs(dashboard)) expect(seq).toBeGreaterThanOrEqual(versions.get(id) ?? 0);
      expect(['n-0', 'n-1', 'stopped'].map((id) => dashboard.status(id))).toEqual([
        'online',
        'online',
        'offline',
      ]);
      expect(dashboard.events.filter(({ nodeId }) => nodeId !== 'stopped').map(({ to }) => to)).not.toContain(
        'offline',
      );
      const stored = await redis.cli('--scan', '--pattern', `${settings.KEY_PREFIX}:*:node:*`);
      expect(stored.split('\n')).toHaveLength(3);
    },
  );

  it('[E2E-11] failed over to a copy that lacks the newest writes: they are put back', async ({
    fleet,
    redis,
    settings,
    expect,
  }) => {
    const hub = await fleet.hub(settings);
    await fleet.agent('early', hub.agentUrl);
    const dashboard = await fleet.dashboard(hub);
    await redis.cli('CONFIG', 'SET', 'appendonly', 'no');
    await redis.cli('SAVE');
    const late = await fleet.agent('late', hub.agentUrl);
    await until('it is there', () => dashboard.status('late') === 'online');
    const [ids, versions] = [identities(dashboard), seqs(dashboard)];
    await redis.restart({ keepData: true });
    await until('the dashboard is told to resync', () => dashboard.resyncs > 0);
    await passes(LONGER_MS);
    await fleet.expectTrue(dashboard, hub);
    expect(identities(dashboard)).toEqual(ids);
    for (const [id, seq] of seqs(dashboard)) expect(seq).toBeGreaterThanOrEqual(versions.get(id) ?? 0);
    expect([dashboard.status('early'), dashboard.status('late')]).toEqual(['online', 'online']);
    expect(late.state).toBe('heartbeating');
  });

  it('[E2E-12] redis-cli shows the heartbeat with a TTL that counts down from the timeout', async ({
    fleet,
    redis,
    settings,
    expect,
  }) => {
    const hub = await fleet.hub(settings);
    await fleet.agent('n', hub.agentUrl, { stats: () => ({ cpuPercent: 42 }) });
    const key = await redis.cli('--scan', '--pattern', `${settings.KEY_PREFIX}:*:beat:n`);
    await until('the stats are there', async () => (await redis.cli('GET', key)).includes('"cpuPercent":42'));
    for (let look = 0; look < 10; look += 1) {
      const ttl = Number(await redis.cli('PTTL', key));
      expect(ttl).toBeGreaterThan(0);
      expect(ttl).toBeLessThanOrEqual(FAST_TIMEOUT_MS);
      await passes(150);
    }
  });
});
