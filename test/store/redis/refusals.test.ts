import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../server/runtime/clock.ts';
import { StoreAwayError, StoreRefusedError } from '../../../server/store/fleet-store.ts';
import { checkKeyPrefix, checkServer, checkShards } from '../../../server/store/redis/preflight.ts';
import { RedisStore, type RedisStoreOptions } from '../../../server/store/redis/redis-store.ts';
import { registration } from '../../support/fixtures.ts';
import { freePort, type RedisServer, startRedis } from '../../support/redis-server.ts';
import { done } from '../contract/setting.ts';
import { freshPrefix, openStore } from './redis-fleet.ts';

let redis: RedisServer;
let locked: RedisServer;
beforeAll(async () => {
  redis = await startRedis({ appendonly: true });
  locked = await startRedis({ args: ['--requirepass', 'secret', '--maxmemory-policy', 'volatile-lru'] });
});
afterAll(() => Promise.all([redis.stop(), locked.stop()]));

/** Opens and closes a store; answers what it warned of. */
async function warningsOf(options: Omit<RedisStoreOptions, 'clock'>): Promise<string[]> {
  const warnings: string[] = [];
  const logger = { info: () => {}, warn: (_: object, message: string) => warnings.push(message) };
  const store = new RedisStore({ clock: systemClock, openWithinMs: 3_000, logger, ...options });
  try {
    await store.open();
  } finally {
    await store.close();
  }
  return warnings;
}

describe('a Redis that must not be used', () => {
  it('is one before 7.0, or a node of a Cluster taken for a single server', () => {
    const info = (version: string, mode = 'standalone') =>
      `# Server\r\nredis_version:${version}\r\nredis_git_sha1:0\r\nredis_mode:${mode}\r\n`;
    for (const version of ['6.2.14', '5.0.3', '2.8.0'])
      expect(() => checkServer(info(version), false)).toThrow(StoreRefusedError);
    expect(() => checkServer(info('6.2.14'), false)).toThrow(/6\.2\.14 is too old/);
    for (const version of ['7.0.15', '7.2.4', '8.0.1', '10.0.0'])
      expect(() => checkServer(info(version), false)).not.toThrow();
    expect(() => checkServer(info('7.0.0', 'cluster'), true)).not.toThrow();
    expect(() => checkServer(info('7.0.0', 'cluster'), false)).toThrow(/list its nodes/);
  });

  it('would have to hold an odd number of shards', () => {
    for (const shards of [1, 2, 16, 1_024]) expect(() => checkShards(shards)).not.toThrow();
    for (const shards of [0, -1, 3, 12, 1.5, 2_048, Number.NaN])
      expect(() => checkShards(shards)).toThrow(/power of two/);
  });

  it('would have keys in slots of their own choice', () => {
    for (const keyPrefix of ['', '{x}', 'a b', 'ü', 'x'.repeat(65)])
      expect(() => checkKeyPrefix(keyPrefix)).toThrow(/KEY_PREFIX/);
    expect(() => checkKeyPrefix('team-a:fleet')).not.toThrow();
  });

  it('holds a fleet of another number of shards, or of another key format', async () => {
    const keyPrefix = freshPrefix();
    await (await openStore({ url: redis.url, keyPrefix, shards: 8 })).close();
    await (await openStore({ url: redis.url, keyPrefix, shards: 8 })).close();
    await expect(openStore({ url: redis.url, keyPrefix, shards: 16 })).rejects.toThrow(
      new StoreRefusedError(`SHARDS (16) must be 8, with which ${keyPrefix}:meta was made`),
    );
    await redis.cli('HSET', `${keyPrefix}:meta`, 'format', '99');
    await expect(openStore({ url: redis.url, keyPrefix, shards: 8 })).rejects.toThrow(/key format 99/);
  });

  it('wants another password, or has no such database, or is no Cluster', async () => {
    const refused = async (url: string) => {
      const error: unknown = await openStore({ url }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(StoreRefusedError);
      expect(inspect(error, { depth: 9 })).not.toContain('wrong-secret');
    };
    await refused(locked.url);
    await refused(locked.url.replace('//', '//:wrong-secret@'));
    await refused(`${redis.url}/99`);
    await refused(`${redis.url},`);
    await (await openStore({ url: locked.url.replace('//', '//:secret@') })).close();
  });

  it('is not there', async () => {
    const url = `redis://127.0.0.1:${await freePort()}`;
    for (const list of [url, `${url},`]) {
      const opening = warningsOf({ url: list, openWithinMs: 300 });
      await expect(opening).rejects.toThrow(StoreAwayError);
      await expect(opening).rejects.toThrow(/127\.0\.0\.1:\d+ cannot be reached/);
    }
    await expect(warningsOf({ url, openWithinMs: 300 })).rejects.toThrow(
      /nothing listens there \(ECONNREFUSED\)/,
    );
  });
});

describe('a Redis user who may not use channels', () => {
  it('loses the doorbell and nothing else', async () => {
    await redis.cli('ACL', 'SETUSER', 'hub', 'on', '>pw', '~*', '+@all', 'resetchannels');
    const url = redis.url.replace('//', '//hub:pw@');
    expect(await warningsOf({ url, keyPrefix: freshPrefix() })).toEqual([
      expect.stringContaining('Redis refuses SUBSCRIBE'),
    ]);
    const store = await openStore({ url, keyPrefix: freshPrefix() });
    await done(store, registration({ id: 'a' }));
    await store.close();
  });
});

describe('a Redis that may forget', () => {
  it('is warned about', async () => {
    expect(await warningsOf({ url: redis.url, keyPrefix: freshPrefix() })).toEqual([]);
    const warnings = await warningsOf({ url: locked.url.replace('//', '//:secret@') });
    expect(warnings).toEqual([
      'Redis may evict heartbeats: set maxmemory-policy noeviction',
      'Redis keeps nothing on disk: set appendonly yes, or save points',
    ]);
  });
});
