import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TOMBSTONE_MS } from '../../../server/store/fleet-store.ts';
import { slotTags } from '../../../server/store/redis/slot-tags.ts';
import { lostNode, manyFacts, registration, removal, statusChange } from '../../support/fixtures.ts';
import { type RedisServer, startRedis } from '../../support/redis-server.ts';
import { done } from '../contract/setting.ts';
import { freshPrefix, openStore, until } from './redis-fleet.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

/** Calls of scripts that the server has seen. */
async function scriptCalls(): Promise<number> {
  const stats = await redis.cli('INFO', 'commandstats');
  const calls = stats.matchAll(/cmdstat_(?:eval|evalsha):calls=(\d+)/g);
  return [...calls].reduce((sum, [, count]) => sum + Number(count), 0);
}

async function setUp(shards = 16) {
  const prefix = freshPrefix();
  const store = await openStore({ url: redis.url, keyPrefix: prefix, shards });
  const keyOf = (id: string, name: string) => `${prefix}:{${slotTags(shards)[store.shardOf(id)]}}:${name}`;
  return { prefix, store, keyOf };
}

const hashOf = async (key: string): Promise<Record<string, string>> => {
  const lines = (await redis.cli('HGETALL', key)).split('\n');
  return Object.fromEntries(lines.flatMap((line, n) => (n % 2 === 0 ? [[line, lines[n + 1] ?? '']] : [])));
};

describe('the keys in Redis', () => {
  it('hold a node as a hash whose record reads as clients see the node', async () => {
    const { store, keyOf } = await setUp();
    const change = registration({ id: 'web-1', facts: manyFacts });
    const { node, session, changeId, instanceId } = await done(store, change);
    const { record, ...fields } = await hashOf(keyOf('web-1', 'node:web-1'));
    const expected = { version: '1', session, sessionSeq: '1', status: 'online', changeId, restored: '0' };
    expect(fields).toEqual(expected);
    expect(JSON.parse(record ?? '')).toEqual({ ...node, instanceId });
    await store.restore(store.shardOf('lost'), [lostNode(registration({ id: 'lost' }).record)]);
    expect(await hashOf(keyOf('lost', 'node:lost'))).toMatchObject({ restored: '1' });
    await store.close();
  });

  it('hold a heartbeat whose TTL counts down from the timeout', async () => {
    const { store, keyOf } = await setUp();
    const { session } = await done(store, registration({ id: 'a', timeoutMs: 30_000 }));
    const key = keyOf('a', 'beat:a');
    const ttl = async () => Number(await redis.cli('PTTL', key));
    const first = await ttl();
    expect(first).toBeGreaterThan(20_000);
    expect(first).toBeLessThanOrEqual(30_000);
    await until(async () => (await ttl()) < first);
    expect(await redis.cli('TYPE', key)).toBe('string');
    expect(await redis.cli('GET', key)).toBe('');
    await store.beat(store.shardOf('a'), [{ id: 'a', session, ttlMs: 60_000.7, stats: '{"cpuPercent":1}' }]);
    expect(await redis.cli('GET', key)).toBe('{"cpuPercent":1}');
    expect(await ttl()).toBeGreaterThan(50_000);
    expect(await ttl()).toBeLessThanOrEqual(60_000);
    await store.close();
  });

  it('hold deadlines, the log, tombstones, epochs, the format and the leases', async () => {
    const { prefix, store, keyOf } = await setUp();
    const record = await done(store, registration({ id: 'a' }));
    const deadline = () => redis.cli('ZSCORE', keyOf('a', 'deadlines'), 'a');
    expect(Number(await deadline())).toBeGreaterThan(Date.now());
    expect(Number(await deadline())).toBeLessThanOrEqual(Date.now() + 30_000);
    const offline = statusChange(record, { status: 'offline', reason: 'agent_stopped', deadline: 'never' });
    await done(store, { ...offline, heartbeat: 'clear' });
    expect(await deadline()).toBe('inf');
    expect(await redis.cli('EXISTS', keyOf('a', 'beat:a'))).toBe('0');
    expect(await redis.cli('TYPE', keyOf('a', 'events'))).toBe('stream');
    expect(await redis.cli('XLEN', keyOf('a', 'events'))).toBe('2');
    await done(store, removal(offline.record));
    expect(await redis.cli('GET', keyOf('a', 'gone:a'))).toBe('3');
    const left = Number(await redis.cli('PTTL', keyOf('a', 'gone:a')));
    expect(left).toBeGreaterThan(TOMBSTONE_MS - 60_000);
    expect(left).toBeLessThanOrEqual(TOMBSTONE_MS);
    expect(await redis.cli('ZCARD', keyOf('a', 'deadlines'))).toBe('0');
    expect(await redis.cli('GET', keyOf('a', 'epoch'))).toMatch(/^[\w-]{8}$/);
    expect(await hashOf(`${prefix}:meta`)).toEqual({
      ...{ format: '1', shards: '16', claimedAt: expect.stringMatching(/^\d+$/) },
    });
    await store.renewLease({ hubId: 'h', address: 'x:1', sessions: 2, version: '1' }, 5_000);
    expect(Number(await redis.cli('PTTL', `${prefix}:hub:h`))).toBeLessThanOrEqual(5_000);
    expect(await redis.cli('ZRANGE', `${prefix}:hubs`, '0', '-1')).toBe('h');
    await store.close();
  });

  it('take a thousand heartbeats in at most one call per shard', async () => {
    const { store } = await setUp();
    const changes = Array.from({ length: 1_000 }, (_, n) => registration({ id: `n${n}` }));
    await Promise.all(changes.map((change) => done(store, change)));
    const beats = changes.map(({ id, record }) => ({ id, session: record.session, ttlMs: 30_000 }));
    const shards = Array.from({ length: store.shards }, (_, shard) => shard);
    const before = await scriptCalls();
    const answers = await Promise.all(
      shards.map((shard) =>
        store.beat(
          shard,
          beats.filter(({ id }) => store.shardOf(id) === shard),
        ),
      ),
    );
    expect((await scriptCalls()) - before).toBeLessThanOrEqual(store.shards);
    for (const answer of answers) expect(answer).toEqual({ refused: [], returned: [] });
    await store.close();
  });

  it('cost one command for a heartbeat that the hub vouches for', async () => {
    const { store } = await setUp();
    const { session } = await done(store, registration({ id: 'a' }));
    const shard = store.shardOf('a');
    const { position } = await store.snapshot(shard);
    const beat = { id: 'a', session, ttlMs: 30_000, confirmed: true };
    const reads = async () => {
      const stats = await redis.cli('INFO', 'commandstats');
      return Number(/cmdstat_hmget:calls=(\d+)/.exec(stats)?.[1] ?? 0);
    };
    const before = await reads();
    await store.beat(shard, [beat], position);
    expect(await reads()).toBe(before);
    await store.beat(shard, [{ ...beat, confirmed: false }], position);
    expect(await reads()).toBe(before + 1);
    await store.close();
  });

  it('are written by scripts that Redis may forget at any time', async () => {
    const { store } = await setUp(4);
    const { session } = await done(store, registration({ id: 'a' }));
    await redis.cli('SCRIPT', 'FLUSH');
    expect(await store.beat(store.shardOf('a'), [{ id: 'a', session, ttlMs: 1_000 }])).toMatchObject({
      refused: [],
    });
    expect(await store.read('a')).toMatchObject({ kind: 'node' });
    await done(store, registration({ id: 'b' }));
    await store.close();
  });
});
