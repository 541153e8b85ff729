import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { registration, statusChange } from '../../support/fixtures.ts';
import { startSentinelTrio } from '../../support/redis-sentinel.ts';
import { type RedisServer, startRedis } from '../../support/redis-server.ts';
import { until as comesTo } from '../../support/until.ts';
import { done, positionOf } from '../contract/setting.ts';
import { freshPrefix, openStore, until } from './redis-fleet.ts';

let master: RedisServer;
let replica: RedisServer;
let sentinel: RedisServer;
beforeAll(async () => {
  master = await startRedis();
  replica = await startRedis({ replicaOf: master });
  sentinel = await startRedis({ sentinelOf: master });
  await until(async () =>
    (await sentinel.cli('SENTINEL', 'replicas', 'mymaster')).includes(String(replica.port)),
  );
});
afterAll(() => Promise.all([master, replica, sentinel].map((server) => server.stop())));

describe('a master behind Sentinels', () => {
  it('is replaced when it dies, and what its replica did not hear of is missed', async () => {
    const store = await openStore({ url: `redis+sentinel://127.0.0.1:${sentinel.port}/mymaster` });
    const record = await done(store, registration({ id: 'a' }));
    const shard = store.shardOf('a');
    const copied = await positionOf(store, shard);
    await until(async () => (await replica.cli('KEYS', '*node:a')) !== '');
    replica.pause();
    // Else it would find the tail in its socket when it goes on.
    await master.cli('CLIENT', 'KILL', 'TYPE', 'replica');
    await done(store, statusChange(record, { status: 'unreachable', reason: 'connection_lost' }));
    const lost = await positionOf(store, shard);
    await master.kill();
    replica.resume();
    await until(() =>
      store.read('a').then(
        () => true,
        () => false,
      ),
    );
    expect(await replica.cli('ROLE')).toMatch(/^master/);
    expect(await store.read('a')).toMatchObject({ record });
    const look = { skip: 0, limit: 10 };
    expect(await store.tick(shard, { after: copied, limit: 10, overdue: look })).toMatchObject({
      kind: 'news',
      entries: [],
    });
    expect(await store.tick(shard, { after: lost, limit: 10, overdue: look })).toEqual({
      kind: 'gap',
      cause: 'lost',
    });
    await done(store, statusChange(record, { status: 'degraded', reason: 'condition_failed' }));
    expect(await store.tick(shard, { after: lost, limit: 10, overdue: look })).toEqual({
      kind: 'gap',
      cause: 'lost',
    });
    await store.close();
  });
});

describe('a master that is replaced by hand', () => {
  it('is left while it still takes writes, for the doorbell too', async () => {
    const { url, stores, sentinels, stop } = await startSentinelTrio();
    const store = await openStore({ url, keyPrefix: freshPrefix() });
    let rings = 0;
    store.onBell(() => {
      rings += 1;
    });
    const [old, ...replicas] = stores;
    await sentinels[0]?.cli('SENTINEL', 'FAILOVER', 'mymaster');
    let heir: RedisServer | undefined;
    // Servers that change their role cut off their clients, redis-cli too.
    await comesTo('a replica has taken over', async () => {
      const roles = await Promise.all(replicas.map((replica) => replica.cli('ROLE')));
      heir = replicas.find((_, index) => roles[index]?.startsWith('master'));
      return heir !== undefined;
    });
    let tries = 0;
    await comesTo('it hears of new nodes', async () => {
      tries += 1;
      await store.commit(registration({ id: `after-${tries}` })).catch(() => {});
      return (await heir?.cli('KEYS', `*node:after-${tries}`)) !== '';
    });
    // Sentinels make it a replica some ten seconds after its successor took over.
    expect(await old?.cli('ROLE')).toMatch(/^master/);
    rings = 0;
    await comesTo('the doorbell rings', async () => {
      tries += 1;
      await store.commit(registration({ id: `after-${tries}` })).catch(() => {});
      return rings > 0;
    });
    await store.close();
    await stop();
  });
});

describe('a master that is replaced while a hub takes its snapshot', () => {
  it('[FAILOVER-6] is followed by its heir, and no node is missing', async () => {
    const { url, stores, sentinels, stop } = await startSentinelTrio();
    const store = await openStore({ url, keyPrefix: freshPrefix(), shards: 1 });
    const ids = Array.from({ length: 1_000 }, (_, n) => `node-${n}`);
    await Promise.all(ids.map((id) => done(store, registration({ id }))));
    const [old, ...replicas] = stores;
    await comesTo('both replicas have them', async () => {
      const copies = await Promise.all(replicas.map((replica) => replica.cli('KEYS', '*:node:*')));
      return copies.every((copy) => copy.split('\n').length === ids.length);
    });
    const { pages } = await store.snapshot(0);
    const seen: string[] = [];
    for await (const page of pages) {
      if (seen.length === 0) {
        await old?.kill();
        await comesTo('the store is that of its heir', () => store.read('node-0').then(() => true));
      }
      seen.push(...page.map(({ node }) => node.id));
    }
    expect(new Set(seen)).toEqual(new Set(ids));
    // The hub is told by the first Sentinel that knows; the others hear of it from that one.
    await comesTo('the Sentinels name the heir', async () => {
      const named = await sentinels[0]?.cli('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'mymaster');
      return named?.includes(String(old?.port)) === false;
    });
    await store.close();
    await stop();
  });
});
