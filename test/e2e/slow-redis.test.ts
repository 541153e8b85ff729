import { describe, vi } from 'vitest';
import { AgentClient } from '../support/agent-client.ts';
import { budget } from '../support/budget.ts';
import { SlowLink, type Slowness } from '../support/slow-link.ts';
import { until } from '../support/until.ts';
import { fleetTest } from './fleet-under-test.ts';

vi.setConfig({ testTimeout: budget(90_000) });

const it = fleetTest();

describe.concurrent('Redis is far away', () => {
  it.for<[string, Slowness]>([
    ['with a constant delay', { delayMs: 200, loss: 0, retransmitMs: 0 }],
    ['and loses packets', { delayMs: 100, loss: 0.1, retransmitMs: 400 }],
  ])(
    '[LINK-3] %s: nobody who beats changes, and who falls silent is found',
    async ([, slowness], { fleet, redis, settings, expect }) => {
      const link = await SlowLink.to(redis.port, slowness);
      const far = { ...settings, REDIS_URL: `redis://127.0.0.1:${link.port}` };
      const [one, other] = await Promise.all([fleet.hub(far), fleet.hub(far)]);
      const ids = Array.from({ length: 10 }, (_, index) => `n-${index}`);
      await Promise.all(ids.map((id, index) => fleet.agent(id, (index % 2 ? one : other).agentUrl)));
      const silent = await Promise.all([one, other].map((hub) => AgentClient.open(hub.agentUrl, {})));
      await Promise.all(silent.map((client, index) => client.register({ nodeId: `silent-${index}` })));
      const dashboard = await fleet.dashboard(other);
      await until('the silent ones are found', () =>
        silent.every((_, index) => dashboard.status(`silent-${index}`) === 'offline'),
      );
      for (const id of ids) expect(dashboard.shown(id).filter((to) => to !== 'online')).toEqual([]);
      for (const client of silent) client.socket.terminate();
      link.close();
    },
  );
});
