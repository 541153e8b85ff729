import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Position, StoreAwayError } from '../../server/store/fleet-store.ts';
import { registration } from '../support/fixtures.ts';
import { type RedisCluster, startCluster } from '../support/redis-cluster.ts';
import { done, positionOf } from './contract/setting.ts';
import { fleetStoreContract } from './fleet-store-contract.ts';
import { freshPrefix, openStore, redisFleet, until } from './redis/redis-fleet.ts';

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await startCluster(3);
});
afterAll(() => cluster.stop());

fleetStoreContract('a Redis Cluster of three', {
  create: (options) => redisFleet(cluster.url, cluster.nodes, options),
});

describe('a Redis Cluster', () => {
  it('shares the shards evenly between its masters', async () => {
    const keyPrefix = freshPrefix();
    const store = await openStore({ url: cluster.url, keyPrefix });
    const counts = await Promise.all(
      cluster.nodes.map(
        async (node) => (await node.cli('KEYS', `${keyPrefix}:{*}:epoch`)).split('\n').length,
      ),
    );
    expect(counts.toSorted()).toEqual([5, 5, 6]);
    await store.close();
  });

  it('is away as far as one of its masters is, and whole again when that is back', async () => {
    const logged: string[] = [];
    const log = (_: object, message: string) => logged.push(message);
    const logger = { info: log, warn: log };
    const store = await openStore({
      url: cluster.url,
      keyPrefix: freshPrefix(),
      commandTimeoutMs: 400,
      logger,
    });
    logged.length = 0;
    const shards = Array.from({ length: store.shards }, (_, shard) => shard);
    const ends = await Promise.all(shards.map((shard) => positionOf(store, shard)));
    const tick = (shard: number, after: Position | undefined) =>
      store.tick(shard, {
        after: after ?? { epoch: '', at: '' },
        limit: 10,
        overdue: { skip: 0, limit: 10 },
      });
    /** What each shard answers: the kind of news, or `away`. */
    const answers = () =>
      Promise.all(
        shards.map(async (shard) => {
          try {
            return (await tick(shard, ends[shard])).kind;
          } catch (error) {
            expect(error).toBeInstanceOf(StoreAwayError);
            return 'away';
          }
        }),
      );
    const [first] = cluster.nodes;
    first?.pause();
    const during = await answers();
    expect(during).toContain('away');
    expect(during).toContain('news');
    first?.resume();
    await until(async () => (await answers()).every((kind) => kind === 'news'));
    await first?.restart({ keepData: false });
    await until(async () => (await answers()).every((kind) => kind === 'news' || kind === 'epoch'));
    expect(new Set(await answers())).toEqual(new Set(['news', 'epoch']));
    for (const shard of shards) await store.attach(shard);
    await done(store, registration({ id: 'a' }));
    expect(logged).toEqual(['Redis is away', 'Redis is back', 'Redis is away', 'Redis is back']);
    await store.close();
  });
});
