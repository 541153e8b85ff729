import { randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import { setTimeout as passes } from 'node:timers/promises';
import { describe, vi } from 'vitest';
import { AgentClient } from '../support/agent-client.ts';
import { budget } from '../support/budget.ts';
import { type Cut, CutLink } from '../support/cut-link.ts';
import { until } from '../support/until.ts';
import { FAST_TIMEOUT_MS, fleetTest } from './fleet-under-test.ts';

vi.setConfig({ testTimeout: budget(120_000) });

const it = fleetTest();
const LONGER_MS = 2 * FAST_TIMEOUT_MS + budget(1_000);

/** The settings of a hub behind a link to its Redis that can be cut. */
async function behind(settings: Record<string, string>) {
  const link = await CutLink.to(Number(new URL(settings.REDIS_URL ?? '').port));
  return { link, cutOff: { ...settings, REDIS_URL: `redis://127.0.0.1:${link.port}` } };
}

function freePort(): Promise<string> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(String(typeof address === 'object' ? address?.port : '')));
    });
  });
}

describe.concurrent('a hub that alone is cut off from Redis', () => {
  it.for(['both', 'to', 'from'] satisfies Cut[])(
    '[MOVE-1] its agents register elsewhere first, and never show as anything but online (cut: %s)',
    async (cut, { fleet, settings, expect }) => {
      const { link, cutOff } = await behind(settings);
      const [blind, other] = await Promise.all([fleet.hub(cutOff), fleet.hub(settings)]);
      const urls = [blind.agentUrl, other.agentUrl];
      const ids = Array.from({ length: 20 }, (_, index) => `n-${index}`);
      await Promise.all(ids.map((id) => fleet.agent(id, urls)));
      const dashboard = await fleet.dashboard(other);
      const holders = () =>
        new Set(
          [...dashboard.client.nodes.values()].map((node) =>
            'connection' in node ? node.connection?.hubId : undefined,
          ),
        );
      link.cut = cut;
      await passes(LONGER_MS);
      expect(dashboard.events.map(({ to }) => to).filter((to) => to !== 'online')).toEqual([]);
      await until('all are on one hub', () => holders().size === 1);
      link.mend();
      await passes(FAST_TIMEOUT_MS);
      expect(dashboard.events.map(({ to }) => to).filter((to) => to !== 'online')).toEqual([]);
      await fleet.expectTrue(dashboard, other);
      link.close();
    },
  );

  it('[MOVE-2] an agent that does not know the message is closed with 1012, while another hub is ready', async ({
    fleet,
    settings,
    expect,
  }) => {
    const { link, cutOff } = await behind(settings);
    const [blind] = await Promise.all([
      fleet.hub({ ...cutOff, PORT: await freePort() }),
      fleet.hub({ ...settings, PORT: await freePort() }),
    ]);
    const client = await AgentClient.open(blind.agentUrl, {});
    await client.register({ nodeId: 'old' });
    await passes(FAST_TIMEOUT_MS);
    link.cut = 'both';
    const beats = setInterval(() => void client.ping().catch(() => {}), 200);
    expect(await client.closed).toMatchObject({ code: 1012 });
    clearInterval(beats);
    link.close();
  });

  it('[MOVE-2] where all hubs are cut off, everyone stays, and nobody changes when Redis is back', async ({
    fleet,
    settings,
    expect,
  }) => {
    const { link, cutOff } = await behind(settings);
    const hubs = await Promise.all([
      fleet.hub({ ...cutOff, PORT: await freePort() }),
      fleet.hub({ ...cutOff, PORT: await freePort() }),
    ]);
    const urls = hubs.map(({ agentUrl }) => agentUrl);
    const agents = await Promise.all(['a', 'b', 'c'].map((id) => fleet.agent(id, urls)));
    const client = await AgentClient.open(hubs[0].agentUrl, {});
    await client.register({ nodeId: `old-${randomUUID()}` });
    const beats = setInterval(() => void client.ping().catch(() => {}), 200);
    const closes: unknown[] = [];
    for (const agent of agents) agent.on('closed', (how) => void closes.push(how));
    const dashboard = await fleet.dashboard(hubs[0]);
    link.cut = 'both';
    await passes(LONGER_MS);
    expect(closes).toEqual([]);
    expect(client.open).toBe(true);
    link.mend();
    await until('the hub sees its store again', () => dashboard.states.at(-1) === 'live');
    await passes(FAST_TIMEOUT_MS);
    expect(dashboard.events.map(({ to }) => to).filter((to) => to !== 'online')).toEqual([]);
    expect(closes).toEqual([]);
    clearInterval(beats);
    client.destroy();
    link.close();
  });

  it('[MOVE-2] an agent whose list names only this hub stays on its socket, and a short cut changes nothing', async ({
    fleet,
    settings,
    expect,
  }) => {
    const { link, cutOff } = await behind(settings);
    const [blind, other] = await Promise.all([fleet.hub(cutOff), fleet.hub(settings)]);
    const agent = await fleet.agent('n', blind.agentUrl);
    const closes: unknown[] = [];
    agent.on('closed', (how) => void closes.push(how));
    const dashboard = await fleet.dashboard(other);
    link.cut = 'both';
    await passes(FAST_TIMEOUT_MS * 0.4);
    link.mend();
    await passes(LONGER_MS);
    expect(closes).toEqual([]);
    expect(dashboard.shown('n').filter((to) => to !== 'online')).toEqual([]);
    link.close();
  });
});
