import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { slotTags } from '../../../server/store/redis/slot-tags.ts';
import { registration } from '../../support/fixtures.ts';
import { type RedisServer, startRedis } from '../../support/redis-server.ts';
import { done } from '../contract/setting.ts';
import { freshPrefix, openStore } from './redis-fleet.ts';

const HOUR_MS = 3_600_000;
const SHARDS = 1;
/** What may pass between two commands of a test, on a busy machine. */
const WHILE_MS = 20_000;

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

async function setUp() {
  const prefix = freshPrefix();
  const store = await openStore({ url: redis.url, keyPrefix: prefix, shards: SHARDS });
  const key = (name: string) => `${prefix}:{${slotTags(SHARDS)[0]}}:${name}`;
  return {
    ...{ prefix, store },
    register: (id: string, timeoutMs = 60_000) => done(store, registration({ id, timeoutMs })),
    /** A heartbeat and a look that are so far ahead, as a step of the clock leaves them. */
    async put(id: string, { leftMs, dueInMs }: { leftMs?: number; dueInMs: number }) {
      if (leftMs === undefined) await redis.cli('DEL', key(`beat:${id}`));
      else await redis.cli('PEXPIRE', key(`beat:${id}`), String(leftMs));
      await redis.cli('ZADD', key('deadlines'), String(Date.now() + dueInMs), id);
    },
    /** So many at once, in one command. */
    async putAll(ids: readonly string[], { leftMs, dueInMs }: { leftMs: number; dueInMs: number }) {
      const script = `
        for i = 4, #ARGV do
          redis.call('PEXPIRE', ARGV[1] .. ARGV[i], ARGV[2])
          redis.call('ZADD', KEYS[1], ARGV[3], ARGV[i])
        end`;
      const due = String(Date.now() + dueInMs);
      await redis.cli('EVAL', script, '1', key('deadlines'), key('beat:'), String(leftMs), due, ...ids);
    },
    left: async (id: string) => Number(await redis.cli('PTTL', key(`beat:${id}`))),
    dueIn: async (id: string) => Number(await redis.cli('ZSCORE', key('deadlines'), id)) - Date.now(),
    settle: (steppedMs: number) => store.settleClock(0, { steppedMs, defaultTimeoutMs: 60_000 }),
  };
}

/** That it is so much, or less by what passed meanwhile. */
function expectAbout(found: number, ms: number): void {
  expect(found).toBeLessThanOrEqual(ms + 1);
  expect(found).toBeGreaterThan(ms - WHILE_MS);
}

describe('after a step of the clock', () => {
  it('back, heartbeats and looks come when they should, whoever puts them right and however often', async () => {
    const { store, register, put, left, dueIn, settle } = await setUp();
    await Promise.all([register('a'), register('b'), register('slow', 600_000), register('gone')]);
    await put('a', { leftMs: 2 * HOUR_MS + 50_000, dueInMs: 2 * HOUR_MS + 30_000 });
    await put('b', { leftMs: 2 * HOUR_MS + 90_000, dueInMs: 2 * HOUR_MS + 30_000 });
    await put('slow', { leftMs: 2 * HOUR_MS + 500_000, dueInMs: 2 * HOUR_MS + 500_000 });
    await put('gone', { dueInMs: 2 * HOUR_MS + 40_000 });
    for (let hub = 0; hub < 2; hub += 1) {
      await settle(-2 * HOUR_MS);
      expectAbout(await left('a'), 50_000);
      expectAbout(await dueIn('a'), 50_000);
      expectAbout(await left('b'), 60_000);
      expectAbout(await left('slow'), 500_000);
      expectAbout(await dueIn('slow'), 500_000);
      expectAbout(await dueIn('gone'), 40_000);
    }
    await store.close();
  });

  it('that nobody saw, none lasts longer than its timeout', async () => {
    const { store, register, put, left, dueIn, settle } = await setUp();
    await Promise.all([register('a'), register('gone'), register('fine')]);
    await put('a', { leftMs: 2 * HOUR_MS, dueInMs: 2 * HOUR_MS });
    await put('gone', { dueInMs: 2 * HOUR_MS });
    await put('fine', { leftMs: 50_000, dueInMs: 30_000 });
    await settle(0);
    expectAbout(await left('a'), 60_000);
    expectAbout(await dueIn('a'), 60_000);
    expectAbout(await dueIn('gone'), 60_000);
    expectAbout(await left('fine'), 50_000);
    expectAbout(await dueIn('fine'), 30_000);
    await store.close();
  });

  it('forwards, whoever lost its heartbeat by it is due when it would have been', async () => {
    const { store, register, put, left, dueIn, settle } = await setUp();
    await Promise.all([register('a'), register('beats')]);
    await put('a', { dueInMs: 40_000 - 2 * HOUR_MS });
    await put('beats', { leftMs: 50_000, dueInMs: 30_000 - 2 * HOUR_MS });
    for (let hub = 0; hub < 2; hub += 1) {
      await settle(2 * HOUR_MS);
      expectAbout(await dueIn('a'), 40_000);
      expectAbout(await left('beats'), 50_000);
    }
    await store.close();
  });

  it('takes a record that cannot be read for one with the default timeout, and many nodes in turns', async () => {
    const { prefix, store, register, putAll, left, settle } = await setUp();
    const ids = Array.from({ length: 300 }, (_, n) => `n-${n}`);
    await Promise.all(ids.map((id) => register(id)));
    await putAll(ids, { leftMs: HOUR_MS + 30_000, dueInMs: HOUR_MS });
    await redis.cli(
      'HSET',
      `${prefix}:{${slotTags(SHARDS)[0]}}:node:n-7`,
      'record',
      '{"heartbeat":7',
      'timing',
      'x',
    );
    await settle(-HOUR_MS);
    for (const id of ['n-0', 'n-7', 'n-150', 'n-299']) expectAbout(await left(id), 30_000);
    await store.close();
  });

  it('back, no lease lasts longer than it may', async () => {
    const { prefix, store } = await setUp();
    const lease = { address: 'x:1', sessions: 1, version: '1' };
    await store.renewLease({ hubId: 'dead', ...lease }, HOUR_MS);
    await store.renewLease({ hubId: 'lives', ...lease }, 5_000);
    await store.settleLeases(15_000);
    expectAbout(Number(await redis.cli('PTTL', `${prefix}:hub:dead`)), 15_000);
    expectAbout(Number(await redis.cli('PTTL', `${prefix}:hub:lives`)), 5_000);
    await store.close();
  });
});
