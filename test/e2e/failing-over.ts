import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { fleetKeys } from '../../server/store/redis/keys.ts';
import { shardOf } from '../../server/store/shards.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { until } from '../support/until.ts';
import { FleetUnderLoad } from './fleet-under-load.ts';
import { FleetUnderTest } from './fleet-under-test.ts';

const SHARDS = 8;

/** Several servers that are one store, and replace a primary that fails. */
export interface Replicated {
  readonly url: string;
  /** The primary of a key now, and its replicas. */
  placeOf(key: string): Promise<Place>;
  stop(): Promise<void>;
}

interface Place {
  primary: RedisServer;
  replicas: readonly RedisServer[];
}

export interface FailoverFixtures<T extends Replicated> {
  redis: T;
  fleet: FleetUnderTest;
  load: FleetUnderLoad;
  /** A key of the shard of `steady-0`, whose primary is the one to fail. */
  key: string;
}

/** Tests with a store of their own and a fleet under load on it, all ended afterwards. */
export function failoverTest<T extends Replicated>(start: () => Promise<T>) {
  return test.extend<FailoverFixtures<T> & { keyPrefix: string }>({
    // biome-ignore lint/correctness/noEmptyPattern: the runner reads the fixtures that one needs from its first parameter
    redis: async ({}, use) => {
      const redis = await start();
      await use(redis);
      await redis.stop();
    },
    // biome-ignore lint/correctness/noEmptyPattern: as above
    fleet: async ({}, use) => {
      const fleet = new FleetUnderTest();
      await use(fleet);
      await fleet.end();
    },
    // biome-ignore lint/correctness/noEmptyPattern: as above
    keyPrefix: async ({}, use) => {
      await use(`e2e${randomBytes(4).toString('hex')}`);
    },
    key: async ({ keyPrefix }, use) => {
      await use(fleetKeys(keyPrefix, SHARDS).shards[shardOf('steady-0', SHARDS)]?.epoch ?? '');
    },
    load: async ({ redis, fleet, keyPrefix }, use) => {
      const settings = { REDIS_URL: redis.url, KEY_PREFIX: keyPrefix, SHARDS: String(SHARDS) };
      const load = await FleetUnderLoad.start(fleet, settings);
      await use(load);
      await load.end();
    },
  });
}

/** An id in the shard of `steady-0`. */
function neighbour(stem: string): string {
  for (let n = 0; ; n += 1)
    if (shardOf(`${stem}-${n}`, SHARDS) === shardOf('steady-0', SHARDS)) return `${stem}-${n}`;
}

/** Whether a server is a primary (`master`) or a replica (`slave`); nothing while it cuts off its clients to change. */
export const role = (server: RedisServer): Promise<string | undefined> =>
  server.cli('ROLE').then(
    (answer) => answer.split('\n')[0],
    () => undefined,
  );

/** The primary is killed after writes that reached no replica. */
export async function losesTail({ redis, fleet, load, key }: FailoverFixtures<Replicated>): Promise<void> {
  const [cameId, leftId] = [neighbour('came'), neighbour('left')];
  const leaves = await fleet.agent(leftId, load.hubs[0].agentUrl);
  const { primary, replicas } = await redis.placeOf(key);
  for (const replica of replicas) replica.pause();
  // Else they would find the newest writes in their sockets when they go on.
  await primary.cli('CLIENT', 'KILL', 'TYPE', 'replica');
  const comes = await fleet.agent(cameId, load.hubs[1].agentUrl);
  await leaves.stop();
  await until('both are known', () => {
    const { dashboard } = load;
    return dashboard.status(cameId) === 'online' && dashboard.status(leftId) === 'offline';
  });
  const before = new Map(load.dashboard.client.nodes);
  await primary.kill();
  for (const replica of replicas) replica.resume();
  await load.seesOutage();
  const said = (hub: (typeof load.hubs)[number]) =>
    hub.log.some(({ msg }) => msg === 'Put back what the store had lost');
  await until('the loss was noticed', () => load.hubs.some(said));
  await load.expectWhole();
  expect(load.dashboard.resyncs).toBeGreaterThan(0);
  expect(comes.state).toBe('heartbeating');
  for (const [id, status] of [
    [cameId, 'online'],
    [leftId, 'offline'],
  ] as const) {
    const [was, is] = [before.get(id), load.dashboard.client.nodes.get(id)];
    expect(is).toMatchObject({ status, ...(was && 'createdAt' in was && { createdAt: was.createdAt }) });
    expect(is?.seq).toBeGreaterThanOrEqual(was?.seq ?? 0);
  }
}

/** The primary is frozen, replaced, and goes on. */
export async function freezesPrimary({ redis, load, key }: FailoverFixtures<Replicated>): Promise<void> {
  const { primary, replicas } = await redis.placeOf(key);
  primary.pause();
  await load.seesOutage();
  await until('a replica has taken over', async () =>
    (await Promise.all(replicas.map(role))).includes('master'),
  );
  primary.resume();
  await until('the old primary is a replica', async () => (await role(primary)) === 'slave');
  await load.expectWhole();
}
