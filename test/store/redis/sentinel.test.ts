import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { registration, statusChange } from '../../support/fixtures.ts';
import { type RedisServer, startRedis } from '../../support/redis-server.ts';
import { done, positionOf } from '../contract/setting.ts';
import { openStore, until } from './redis-fleet.ts';

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
    expect(await store.tick(shard, { after: copied, limit: 10, look })).toMatchObject({
      kind: 'news',
      entries: [],
    });
    expect(await store.tick(shard, { after: lost, limit: 10, look })).toEqual({ kind: 'gap', cause: 'lost' });
    await done(store, statusChange(record, { status: 'degraded', reason: 'condition_failed' }));
    expect(await store.tick(shard, { after: lost, limit: 10, look })).toEqual({ kind: 'gap', cause: 'lost' });
    await store.close();
  });
});
