import { describe, expect, it } from 'vitest';
import { describeTarget, parseRedisUrl, RedisUrlError } from '../../../server/store/redis/redis-url.ts';

describe('REDIS_URL', () => {
  it('names one server', () => {
    const plain = { kind: 'single', tls: false, db: 0, credentials: {} };
    expect(parseRedisUrl('redis://localhost')).toEqual({ ...plain, at: { host: 'localhost', port: 6379 } });
    expect(parseRedisUrl(' redis://10.0.0.1:7000/3 ')).toEqual({
      ...plain,
      at: { host: '10.0.0.1', port: 7000 },
      db: 3,
    });
    expect(parseRedisUrl('redis://[::1]:7000')).toMatchObject({ at: { host: '::1', port: 7000 } });
    expect(parseRedisUrl('rediss://me:p%40ss%2C%3A@redis.example')).toEqual({
      ...plain,
      tls: true,
      at: { host: 'redis.example', port: 6379 },
      credentials: { username: 'me', password: 'p@ss,:' },
    });
    expect(parseRedisUrl('redis://:only@h')).toMatchObject({ credentials: { password: 'only' } });
  });

  it('names a Cluster by a comma list, of which the first gives scheme and credentials', () => {
    const nodes = [
      { host: 'a', port: 7000 },
      { host: 'b', port: 7001 },
      { host: 'c', port: 6379 },
    ];
    const target = { kind: 'cluster', nodes, tls: false, credentials: { password: 'x' } };
    expect(parseRedisUrl('redis://:x@a:7000,redis://b:7001, redis://c')).toEqual(target);
    expect(parseRedisUrl('redis://:x@a:7000,b:7001,c')).toEqual(target);
    expect(parseRedisUrl('redis://a:7000,')).toMatchObject({ kind: 'cluster', nodes: nodes.slice(0, 1) });
  });

  it('names a master behind Sentinels', () => {
    expect(parseRedisUrl('redis+sentinel://u:p@s1:26379,s2/mymaster/2?sentinelPassword=q')).toEqual({
      kind: 'sentinel',
      sentinels: [
        { host: 's1', port: 26379 },
        { host: 's2', port: 26379 },
      ],
      name: 'mymaster',
      db: 2,
      credentials: { username: 'u', password: 'p' },
      sentinelCredentials: { password: 'q' },
    });
  });

  it.each([
    ['', /is empty/],
    ['http://secret@h', /must begin with redis:\/\//],
    ['localhost:6379', /must begin with/],
    ['redis://:secret@h:port', /is not a URL/],
    ['redis://:secret@h:99999', /is not a URL/],
    ['redis://:secret%@h', /percent escape/],
    ['redis://:secret@h/fleet', /number of a database/],
    ['redis://:secret@h?db=1', /query/],
    ['redis://:secret@a/1,redis://b', /only database 0/],
    ['redis://:secret@a,rediss://b', /mixes/],
    ['redis+sentinel://:secret@a,b', /name of the master/],
    ['redis+sentinel://:secret@a/', /name of the master/],
    ['redis+sentinel://:secret@a/m/0/1', /name of the master/],
    ['redis+sentinel:///m', /no host|not a URL/],
  ])('refuses %j without telling the password', (url, why) => {
    expect(() => parseRedisUrl(url)).toThrow(RedisUrlError);
    expect(() => parseRedisUrl(url)).toThrow(why);
    expect(() => parseRedisUrl(url)).not.toThrow(/secret/);
  });

  it('can be described without credentials', () => {
    for (const [url, text] of [
      ['redis://:secret@h/1', 'Redis at h:6379'],
      ['redis://:secret@a,b:1', 'Redis Cluster at a:6379, b:1'],
      ['redis+sentinel://:secret@a,b/m', 'Redis "m" of the Sentinels at a:26379, b:26379'],
    ] as const)
      expect(describeTarget(parseRedisUrl(url))).toBe(text);
  });
});
