import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Position, StoreAwayError } from '../../../server/store/fleet-store.ts';
import type { RedisStore } from '../../../server/store/redis/redis-store.ts';
import { budget } from '../../support/budget.ts';
import { lostNode, registration, statusChange } from '../../support/fixtures.ts';
import { type RedisServer, startRedis } from '../../support/redis-server.ts';
import { attachAll, done, idsOfOneShard, lastBeat, positionOf } from '../contract/setting.ts';
import { openStore, until } from './redis-fleet.ts';

let redis: RedisServer;
let store: RedisStore;
let logged: string[];
const log = (_: object, message: string) => logged.push(message);

const open = async (url = redis.url) => {
  logged = [];
  store = await openStore({ url, commandTimeoutMs: 400, logger: { info: log, warn: log } });
  logged = [];
};
beforeEach(async () => {
  redis = await startRedis({ appendonly: true });
  await open();
});
afterEach(async () => {
  await store.close();
  await redis.stop();
});

const readable = () =>
  store.read('a').then(
    () => true,
    () => false,
  );
const tick = (shard: number, after: Position) =>
  store.tick(shard, { after, limit: 100, overdue: { skip: 0, limit: 10 } });

describe('Redis away', () => {
  it('rings for every shard when the connection is lost, until nobody listens', async () => {
    const rung = new Set<number>();
    const end = store.onBell((shard) => rung.add(shard));
    await redis.kill();
    await until(() => rung.size === store.shards);
    await redis.restart({ keepData: true });
    await until(readable);
    end();
    rung.clear();
    await redis.kill();
    await until(async () => !(await readable()));
    expect(rung.size).toBe(0);
  });

  it('fails every verb within the timeout while it hangs, and works again when it goes on', async () => {
    const record = await done(store, registration({ id: 'a' }));
    const shard = store.shardOf('a');
    const after = await positionOf(store, shard);
    redis.pause();
    const started = Date.now();
    const attempts = [
      store.read('a'),
      store.commit(statusChange(record, { status: 'offline', reason: 'agent_stopped' })),
      store.beat(shard, [{ id: 'a', session: record.session, ttlMs: 1_000 }]),
      store.stats([{ id: 'a', timeoutMs: 1_000 }]),
      store.snapshot(shard),
      tick(shard, after),
      store.replay(shard, after, after, 10),
      store.history({ limit: 10 }),
      store.history({ id: 'a', limit: 10 }),
      store.restore(shard, [lostNode(record)]),
      store.attach(shard),
      store.renewLease({ hubId: 'h', address: 'x', sessions: 0, version: '1' }, 1_000),
      store.dropLease('h'),
      store.leases(),
    ];
    for (const outcome of await Promise.allSettled(attempts)) {
      if (outcome.status === 'fulfilled') throw new Error('nothing can have been answered');
      expect(outcome.reason).toBeInstanceOf(StoreAwayError);
      expect(outcome.reason.cause).toBeInstanceOf(Error);
    }
    expect(Date.now() - started).toBeLessThan(budget(3_000));
    // The stuck connection is dropped, and with it whatever waited in its queue.
    await until(async () => {
      const asked = Date.now();
      await expect(store.read('a')).rejects.toThrow(StoreAwayError);
      return Date.now() - asked < budget(50);
    });
    redis.resume();
    await until(readable);
    await until(() => logged.length === 2);
    expect(logged).toEqual(['Redis is away', 'Redis is back']);
  });

  it('[FAILOVER-5] is away where Redis answers and refuses to write, until it writes again', async () => {
    const record = await done(store, registration({ id: 'a' }));
    const shard = store.shardOf('a');
    const after = await positionOf(store, shard);
    await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '1');
    const beats = [{ id: 'a', session: record.session, ttlMs: 1_000 }];
    // A look writes nothing here, and yet what it would see is worth nothing: nobody's heartbeats are written.
    await expect(tick(shard, after)).rejects.toThrow('NOREPLICAS');
    await expect(store.beat(shard, beats)).rejects.toThrow(StoreAwayError);
    await expect(tick(shard, after)).rejects.toThrow(StoreAwayError);
    await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '0');
    expect(await tick(shard, after)).toMatchObject({ kind: 'news', entries: [] });
    expect(logged).toEqual(['Redis is away', 'Redis is back']);
  });

  it('is not held up by a hanging Redis when it ends', async () => {
    redis.pause();
    const started = Date.now();
    const pending = store.read('a').catch((error: unknown) => error);
    await store.close();
    expect(await pending).toBeInstanceOf(StoreAwayError);
    await expect(store.read('a')).rejects.toThrow(StoreAwayError);
    expect(Date.now() - started).toBeLessThan(budget(3_000));
    redis.resume();
  });

  it('works on after a restart with its data', async () => {
    const record = await done(store, registration({ id: 'a' }));
    const shard = store.shardOf('a');
    const after = await positionOf(store, shard);
    await redis.kill();
    await expect(store.read('a')).rejects.toThrow(StoreAwayError);
    await redis.restart({ keepData: true });
    await until(readable);
    expect(await store.read('a')).toMatchObject({ record });
    expect(await tick(shard, after)).toMatchObject({ kind: 'news', entries: [] });
    let rings = 0;
    store.onBell(() => {
      rings += 1;
    });
    let last = record;
    await until(async () => {
      last = await done(store, statusChange(last, { status: 'online', reason: 'reconnected' }));
      return rings > 0;
    });
    expect(await lastBeat(store, 'a')).toBeDefined();
  });

  it('says that the data are lost after a restart without them', async () => {
    await done(store, registration({ id: 'a' }));
    const shard = store.shardOf('a');
    const after = await positionOf(store, shard);
    await redis.restart({ keepData: false });
    await until(() =>
      tick(shard, after).then(
        ({ kind }) => kind === 'epoch',
        () => false,
      ),
    );
    expect(await store.commit(registration({ id: 'a' }))).toBe('epoch');
    await attachAll(store);
    await done(store, registration({ id: 'a' }));
  });

  it('says that the tail is lost after a restart from an older dump, also when it was written on since', async () => {
    const [a = '', b = ''] = idsOfOneShard(store, 2);
    const shard = store.shardOf(a);
    const [beginning, record] = [await positionOf(store, shard), await done(store, registration({ id: a }))];
    const kept = await positionOf(store, shard);
    await redis.cli('CONFIG', 'SET', 'appendonly', 'no');
    await redis.cli('SAVE');
    await done(store, statusChange(record, { status: 'unreachable', reason: 'connection_lost' }));
    const tail = await positionOf(store, shard);
    await redis.cli('SHUTDOWN', 'NOSAVE').catch(() => '');
    const older = await startRedis({ dir: redis.dir, port: redis.port });
    await until(readable);
    expect(await tick(shard, tail)).toEqual({ kind: 'gap', cause: 'lost' });
    await done(store, registration({ id: b }));
    await done(store, statusChange(record, { status: 'degraded', reason: 'condition_failed' }));
    expect(await tick(shard, tail)).toEqual({ kind: 'gap', cause: 'lost' });
    expect(await store.replay(shard, tail, tail, 10)).toBe('gap');
    for (const [after, count] of [
      [kept, 2],
      [beginning, 3],
    ] as const)
      expect(await tick(shard, after)).toMatchObject({ kind: 'news', entries: { length: count } });
    await older.stop();
  });
});
