import { setTimeout as passes } from 'node:timers/promises';
import { expect } from 'vitest';
import { z } from 'zod';
import { differencesBetween } from '../../client/index.ts';
import { systemClock } from '../../server/runtime/clock.ts';
import { RedisStore } from '../../server/store/redis/redis-store.ts';
import { type FleetNode, nodeSchema } from '../../shared/index.ts';
import { RawAgent } from '../../simulate/raw-agent.ts';
import { budget } from '../support/budget.ts';
import type { HubProcess } from '../support/hub-process.ts';
import { until } from '../support/until.ts';
import { type Dashboard, FAST_TIMEOUT_MS, type FleetUnderTest } from './fleet-under-test.ts';

/** Longer than any node may be silent. */
const LONGER_MS = FAST_TIMEOUT_MS + budget(1_000);
/** Agents that never stop beating, on both hubs together. */
const STEADY = 90;
/** Agents that come, crash and come again. */
const RESTLESS = 3;
/** All steady agents beat once a second, so many a time. */
const ROUNDS_A_SECOND = 10;
const CONNECT_WITHIN_MS = 2_000;

const pageSchema = z.object({ nodes: z.array(nodeSchema), total: z.number() });

const byId = (a: FleetNode, b: FleetNode) => (a.id < b.id ? -1 : 1);

/**
 * Two hubs with agents that beat, send stats, come and go, and a dashboard that follows. Whatever happens to the
 * store below, the steady agents must never be shown as anything but `online`.
 */
export class FleetUnderLoad {
  /** Every status other than `online` that the dashboard was shown of a steady node. */
  readonly wrong: string[] = [];
  readonly dashboard: Dashboard;
  readonly hubs: readonly [HubProcess, HubProcess];
  readonly #settings: Readonly<Record<string, string>>;
  readonly #fleet: FleetUnderTest;
  readonly #steady: readonly RawAgent[];
  readonly #beating: NodeJS.Timeout;
  readonly #restless: Promise<unknown>;
  #calm = false;

  static async start(
    fleet: FleetUnderTest,
    settings: Readonly<Record<string, string>>,
  ): Promise<FleetUnderLoad> {
    const hubs = await Promise.all([fleet.hub(settings), fleet.hub(settings)]);
    const steady = Array.from({ length: STEADY }, (_, index) => new RawAgent(`steady-${index}`));
    await Promise.all(steady.map((agent, index) => agent.connect(portOf(hubs[index % 2]), '127.0.0.2')));
    return new FleetUnderLoad(fleet, settings, hubs, steady, await fleet.dashboard(hubs[0]));
  }

  private constructor(
    fleet: FleetUnderTest,
    settings: Readonly<Record<string, string>>,
    hubs: readonly [HubProcess, HubProcess],
    steady: readonly RawAgent[],
    dashboard: Dashboard,
  ) {
    this.#fleet = fleet;
    this.#settings = settings;
    this.hubs = hubs;
    this.#steady = steady;
    this.dashboard = dashboard;
    const note = (id: string, status: string | null | undefined) => {
      if (id.startsWith('steady-') && status !== 'online') this.wrong.push(`${id} ${status}`);
    };
    dashboard.client.on('change', ({ event: { nodeId, to } }) => note(nodeId, to));
    dashboard.client.on('picture', (picture, before) => {
      const differences = before ? differencesBetween(before, picture) : [];
      for (const { id, after } of differences) note(id, after?.status);
    });
    let round = 0;
    this.#beating = setInterval(() => {
      round += 1;
      for (let at = round % ROUNDS_A_SECOND; at < STEADY; at += ROUNDS_A_SECOND)
        this.#beat(steady[at], round);
    }, 1_000 / ROUNDS_A_SECOND);
    this.#restless = Promise.all(Array.from({ length: RESTLESS }, (_, index) => this.#comeAndGo(index)));
  }

  /** By turns a ping, and stats with a ping. */
  #beat(agent: RawAgent | undefined, round: number): void {
    if (round % 2 === 0) agent?.ping();
    else agent?.stats();
  }

  async #comeAndGo(index: number): Promise<void> {
    while (!this.#calm) {
      const agent = new RawAgent(`restless-${index}`);
      const registered = agent.connect(portOf(this.hubs[index % 2]), '127.0.0.3');
      // A hub whose store is away refuses it, or ends it while it waits for the answer.
      await Promise.race([registered.catch(() => {}), passes(budget(CONNECT_WITHIN_MS))]);
      await passes(100 + 200 * Math.random());
      agent.reset();
    }
  }

  /** The dashboard was told that its hub lost sight of the store, and that it has it again. */
  async seesOutage(): Promise<void> {
    const { states } = this.dashboard;
    await until('the hub lost its store', () => states.includes('stale'));
    await this.seesStore();
  }

  /** Both hubs have all of their store. */
  async seesStore(): Promise<void> {
    for (const { url } of this.hubs)
      await until('the hub has its store', async () => (await fetch(`${url}/readyz`)).status === 200);
    await until('the dashboard hears it', () => this.dashboard.states.at(-1) === 'live');
  }

  /** Opens a store of the same settings, as a third hub would. */
  async withStore<T>(use: (store: RedisStore) => Promise<T>): Promise<T> {
    const { REDIS_URL: url = '', KEY_PREFIX: keyPrefix = '', SHARDS } = this.#settings;
    const store = new RedisStore({ url, keyPrefix, shards: Number(SHARDS), clock: systemClock });
    await store.open();
    try {
      return await use(store);
    } finally {
      await store.close();
    }
  }

  /**
   * Waits until everybody could have been judged by a wrong silence, and expects that nobody was, that the
   * store, both hubs and the dashboard agree, that every steady node has a heartbeat, that no version was missed,
   * and that the fleet goes on.
   */
  async expectWhole(): Promise<void> {
    await this.seesStore();
    await passes(LONGER_MS);
    this.#calm = true;
    await this.#restless;
    const { dashboard, hubs } = this;
    await this.#fleet.agent(`late-${this.dashboard.events.length}`, hubs[1].agentUrl);
    await until('the store, the hubs and the dashboard agree', async () => {
      const stored = await this.withStore(readAll);
      const shown = [...dashboard.client.nodes.values()].map(({ id, seq, status }) => ({
        id,
        seq,
        status,
      }));
      expect(shown.sort((a, b) => (a.id < b.id ? -1 : 1))).toEqual(
        stored.map(({ id, seq, status }) => ({ id, seq, status })),
      );
      for (const { url } of hubs) {
        const page = pageSchema.parse(await (await fetch(`${url}/api/v1/nodes?limit=1000`)).json());
        expect(page.nodes.sort(byId)).toEqual(stored);
      }
      return true;
    });
    await until('every steady node has a heartbeat', () =>
      this.withStore((store) => expectHeartbeats(store, this.#steady)),
    );
    expect(this.wrong).toEqual([]);
    expect(dashboard.holes).toEqual([]);
    const history = await this.withStore((store) => store.history({ limit: 10_000 }));
    const ofSteady = history.filter(({ nodeId }) => nodeId.startsWith('steady-'));
    expect(new Set(ofSteady.map(({ to }) => to))).toEqual(new Set(['online']));
    await this.#expectConnected();
  }

  /** Every steady agent is still on the socket on which it came. */
  async #expectConnected(): Promise<void> {
    const before = this.#steady.map(({ answered }) => answered);
    await until('every steady agent is answered', () =>
      this.#steady.every(({ answered }, index) => answered > (before[index] ?? 0)),
    );
  }

  async end(): Promise<void> {
    this.#calm = true;
    clearInterval(this.#beating);
    await this.#restless;
    for (const agent of this.#steady) agent.destroy();
  }
}

const portOf = (hub: HubProcess | undefined): number => Number(new URL(hub?.url ?? '').port);

async function readAll(store: RedisStore): Promise<FleetNode[]> {
  const nodes: FleetNode[] = [];
  for (let shard = 0; shard < store.shards; shard += 1) {
    await store.attach(shard);
    const { pages } = await store.snapshot(shard);
    for await (const page of pages) nodes.push(...page.map(({ node }) => node));
  }
  return nodes.sort(byId);
}

async function expectHeartbeats(store: RedisStore, agents: readonly RawAgent[]): Promise<true> {
  for (let shard = 0; shard < store.shards; shard += 1) await store.attach(shard);
  const beats = await store.stats(agents.map(({ nodeId }) => ({ id: nodeId, timeoutMs: FAST_TIMEOUT_MS })));
  expect(agents.map(({ nodeId }) => nodeId).filter((id) => !beats.has(id))).toEqual([]);
  return true;
}
