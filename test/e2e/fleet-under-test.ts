import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { FleetAgent, type FleetAgentOptions } from '../../agent/index.ts';
import { FleetClient, WHOLE_NODES } from '../../client/index.ts';
import { type DashboardEvent, type FleetNode, type HubState, nodeSchema } from '../../shared/index.ts';
import { budget } from '../support/budget.ts';
import { type HubProcess, startHubProcess } from '../support/hub-process.ts';
import { type RedisServer, type RedisServerOptions, startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

/** Heartbeats that make a test short, and leave the agents room to keep them. */
export const FAST_TIMEOUT_MS = budget(4_000);
const FAST = {
  HEARTBEAT_INTERVAL: `${budget(1_000)}ms`,
  HEARTBEAT_TIMEOUT: `${FAST_TIMEOUT_MS}ms`,
} as const;

const pageSchema = z.object({ nodes: z.array(nodeSchema), total: z.number() });

/** A dashboard by the book, that remembers all it was told. */
export class Dashboard {
  readonly client: FleetClient<FleetNode>;
  readonly events: DashboardEvent[] = [];
  readonly states: HubState['state'][] = [];
  readonly holes: unknown[] = [];
  resyncs = 0;

  constructor(hubUrl: string, token?: string) {
    this.client = new FleetClient({
      hubUrl,
      nodes: WHOLE_NODES,
      reconnectDelayMs: 100,
      resubscribeDelayMs: 100,
      ...(token && { token }),
    });
    this.client.on('change', ({ event }) => void this.events.push(event));
    this.client.on('hub', ({ state }) => {
      if (this.states.at(-1) !== state) this.states.push(state);
    });
    this.client.on('hole', (hole) => void this.holes.push(hole));
    this.client.on('resync', () => {
      this.resyncs += 1;
    });
  }

  status(id: string): string | undefined {
    return this.client.nodes.get(id)?.status;
  }

  /** Every status that was shown of a node, in order. */
  shown(id: string): Array<string | null> {
    return this.events.filter(({ nodeId }) => nodeId === id).map(({ to }) => to);
  }
}

/** What a test starts, and how it is all ended. */
export class FleetUnderTest {
  readonly #hubs: HubProcess[] = [];
  readonly #agents: FleetAgent[] = [];
  readonly #dashboards: Dashboard[] = [];

  async hub(settings: Readonly<Record<string, string>>): Promise<HubProcess> {
    const hub = await startHubProcess({ ...FAST, ...settings });
    this.#hubs.push(hub);
    return hub;
  }

  async agent(
    id: string,
    hubUrl: FleetAgentOptions['hubUrl'],
    more: Partial<FleetAgentOptions> = {},
  ): Promise<FleetAgent> {
    const agent = new FleetAgent({ hubUrl, node: { hostname: `${id}.test`, nodeId: id }, ...more });
    this.#agents.push(agent);
    await agent.start();
    return agent;
  }

  async dashboard(hub: HubProcess, token?: string): Promise<Dashboard> {
    const dashboard = new Dashboard(hub.url, token);
    this.#dashboards.push(dashboard);
    const pictured = new Promise((resolve) => dashboard.client.once('picture', resolve));
    dashboard.client.start();
    await pictured;
    return dashboard;
  }

  /** Both the dashboard and another look at the store show the same, and no version was missed. */
  async expectTrue(dashboard: Dashboard, hub: HubProcess): Promise<void> {
    await until('the dashboard shows what the hub has', async () => {
      const page = pageSchema.parse(await (await fetch(`${hub.url}/api/v1/nodes?limit=1000`)).json());
      const shown = [...dashboard.client.nodes.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
      const stored = page.nodes.sort((a, b) => (a.id < b.id ? -1 : 1));
      expect(shown).toEqual(stored);
      return true;
    });
    expect(dashboard.holes).toEqual([]);
  }

  async end(): Promise<void> {
    for (const { client } of this.#dashboards) client.stop();
    for (const hub of this.#hubs) hub.resume();
    await Promise.all(this.#agents.map((agent) => agent.stop()));
    await Promise.all(this.#hubs.map((hub) => hub.kill()));
  }
}

/** Tests with a Redis of their own, settings of hubs on it, and a fleet that is ended afterwards. */
export function fleetTest(redisOptions: RedisServerOptions = {}) {
  return test.extend<{ redis: RedisServer; settings: Record<string, string>; fleet: FleetUnderTest }>({
    // biome-ignore lint/correctness/noEmptyPattern: the runner reads the fixtures that one needs from its first parameter
    redis: async ({}, use) => {
      const redis = await startRedis(redisOptions);
      await use(redis);
      await redis.stop();
    },
    settings: async ({ redis }, use) => {
      await use({ REDIS_URL: redis.url, KEY_PREFIX: `e2e${randomBytes(4).toString('hex')}`, SHARDS: '4' });
    },
    // biome-ignore lint/correctness/noEmptyPattern: as above
    fleet: async ({}, use) => {
      const fleet = new FleetUnderTest();
      await use(fleet);
      await fleet.end();
    },
  });
}
