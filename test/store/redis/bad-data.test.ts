import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { Fleet } from '../../../server/fleet/fleet.ts';
import { systemClock } from '../../../server/runtime/clock.ts';
import type { Log } from '../../../server/runtime/log.ts';
import { StoreRefusedError } from '../../../server/store/fleet-store.ts';
import { type FleetKeys, fleetKeys, type ShardKeys } from '../../../server/store/redis/keys.ts';
import { RedisStore } from '../../../server/store/redis/redis-store.ts';
import { toTiming } from '../../../server/store/redis/replies.ts';
import { readEvent, readNode } from '../../../server/store/redis/salvage.ts';
import { fleetEventSchema } from '../../../shared/index.ts';
import { CutLink } from '../../support/cut-link.ts';
import { type RedisServer, startRedis } from '../../support/redis-server.ts';
import { registerAgent, registerMessage, type TestAgent } from '../../support/test-fleet.ts';
import { until } from '../../support/until.ts';
import { freshPrefix } from './redis-fleet.ts';

const SHARDS = 2;
const AGENTS = 6;
const TIMING = { intervalMs: 10_000, timeoutMs: 30_000 };

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

/** A hub's fleet on the Redis of this test, and what it logged and counted. */
interface Running {
  fleet: Fleet;
  store: RedisStore;
  lines: string[];
  counted: string[];
}

const running: Running[] = [];
afterEach(async () => {
  for (const { fleet, store } of running.splice(0)) {
    await fleet.stop();
    await store.close();
  }
});

async function startHub(keyPrefix: string, hubId: string, url = redis.url): Promise<Running> {
  const lines: string[] = [];
  const counted: string[] = [];
  const write = (_: object, message: string) => void lines.push(message);
  const log: Log = { debug: () => {}, info: () => {}, warn: write, error: write };
  const store = new RedisStore({
    ...{ url, clock: systemClock, keyPrefix, shards: SHARDS, logger: log },
    badData: (kind) => void counted.push(kind),
  });
  await store.open();
  const parts = { hubId, address: '127.0.0.1:0', version: 'test', timing: TIMING };
  const fleet = new Fleet({ ...parts, store, clock: systemClock, log });
  const hub = { fleet, store, lines, counted };
  running.push(hub);
  await fleet.start();
  return hub;
}

/** One agent: it registers again where its session ended, as agents do. */
class Agent {
  readonly id: string;
  now: TestAgent | undefined;

  constructor(id: string) {
    this.id = id;
  }

  async act(hub: Running): Promise<void> {
    if (this.now && this.now.link.ended.length === 0) hub.fleet.heartbeat(this.now.session);
    else
      this.now = await registerAgent(hub.fleet, registerMessage({ nodeId: this.id })).catch(() => undefined);
  }
}

/** A node that is to be touched: its keys, and those of its shard and of the fleet. */
interface Touched {
  id: string;
  keys: FleetKeys;
  of: ShardKeys;
}
type Command = [name: string, ...args: string[]];
type Mutation = (touched: Touched) => Command[];

const BIG = 'x'.repeat(1_000_000);
const field =
  (name: string, value: string): Mutation =>
  ({ id, of }) => [['HSET', of.node(id), name, value]];
const noField =
  (name: string): Mutation =>
  ({ id, of }) => [['HDEL', of.node(id), name]];
/** Another value in the place of a key. */
const instead =
  (key: (touched: Touched) => string, ...command: Command): Mutation =>
  (touched) => {
    const [name, ...args] = command;
    return [
      ['DEL', key(touched)],
      [name, key(touched), ...args],
    ];
  };
const node = ({ id, of }: Touched) => of.node(id);
const beat = ({ id, of }: Touched) => of.beat(id);
const gone = ({ id, of }: Touched) => of.gone(id);

/** What may stand under our keys that no hub wrote. */
const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'a record that is no JSON': field('record', '{"id":'),
  'a record that is null': field('record', 'null'),
  'a record that is a list': field('record', '[1,2]'),
  'a record without anything': field('record', '{}'),
  'a record of a megabyte': field('record', JSON.stringify({ id: BIG })),
  'a record of another node': field('record', JSON.stringify({ id: 'somebody-else', seq: 1 })),
  'a record of which only the id is right': ({ id, of }) => [
    [
      'HSET',
      of.node(id),
      'record',
      JSON.stringify({
        ...{ id, seq: 'x', hostname: 7, labels: [], roles: {}, pools: null, status: 'cordoned', reason: 9 },
        ...{ statusSince: 'yesterday', conditions: 'none', evidence: 3, heartbeat: { timeoutMs: -1 } },
      }),
    ],
  ],
  'a record without a status': ({ id, of }) => [
    ['HSET', of.node(id), 'record', JSON.stringify({ id, seq: 1, hostname: 'other', status: null })],
  ],
  'no record': noField('record'),
  'no session': noField('session'),
  'an empty session': field('session', ''),
  'no sessionSeq': noField('sessionSeq'),
  'a sessionSeq of words': field('sessionSeq', 'first'),
  'no version': noField('version'),
  'a negative version': field('version', '-3'),
  'a version of words': field('version', 'seven'),
  'a huge version': field('version', '99999999999999999999'),
  'a version with a fraction': field('version', '1.5'),
  'a timing of words': field('timing', 'x y z'),
  'a status that nobody knows': field('status', 'cordoned'),
  'a node that is a text': instead(node, 'SET', 'rubbish'),
  'a node that is a list': instead(node, 'RPUSH', 'a'),
  'a node with other fields only': instead(node, 'HSET', 'colour', 'blue'),
  'no node': ({ id, of }) => [['DEL', of.node(id)]],
  'a heartbeat that is a list': instead(beat, 'RPUSH', 'a'),
  'a heartbeat without an end': instead(beat, 'SET', ''),
  'stats that are no JSON': instead(beat, 'SET', '{{', 'PX', '60000'),
  'stats of a megabyte': instead(beat, 'SET', BIG, 'PX', '60000'),
  'a tombstone of words': instead(gone, 'SET', 'long ago'),
  'a tombstone that is a list': instead(gone, 'RPUSH', 'a'),
  'entries of somebody else': ({ of }) => [
    ['XADD', of.events, '*', 'colour', 'blue'],
    ['XADD', of.events, '*', 'nodeId', '', 'event', '{}'],
  ],
  'an entry that is no JSON': ({ id, of }) => [
    ['XADD', of.events, '*', 'nodeId', id, 'event', '{"seq":', 'changeId', 'c', 'session', 's'],
  ],
  'an entry whose event is none': ({ id, of }) => [
    ['XADD', of.events, '*', 'nodeId', id, 'event', '{"seq":-1}', 'changeId', 'c', 'session', 's'],
  ],
  'a log that is a text': instead(({ of }) => of.events, 'SET', 'rubbish'),
  'no log': ({ of }) => [['DEL', of.events]],
  'deadlines that are a text': instead(({ of }) => of.deadlines, 'SET', 'rubbish'),
  'deadlines of nobody': ({ of }) => [
    ['ZADD', of.deadlines, '-inf', 'no such node', '0', 'x'.repeat(1_000), '+inf', '', '1', '../{}'],
  ],
  'an epoch that is a list': instead(({ of }) => of.epoch, 'RPUSH', 'a'),
  'an empty epoch': ({ of }) => [['SET', of.epoch, '']],
  'an epoch of other letters': ({ of }) => [['SET', of.epoch, '{"x":1}']],
  'no epoch': ({ of }) => [['DEL', of.epoch]],
  'a list of hubs that is a text': instead(({ keys }) => keys.hubs, 'SET', 'rubbish'),
  'hubs that are none': ({ keys }) => [
    ['ZADD', keys.hubs, '1', '', '99999999999999', 'ghost', '99999999999999', 'list'],
    ['SET', keys.hub('ghost'), 'not JSON'],
    ['RPUSH', keys.hub('list'), 'a'],
  ],
};

/** A hub with its agents, what is put under its keys, and a fresh hub that starts after that. */
async function disturbed(touches: ReadonlyArray<{ mutation: string; index: number }>) {
  const keyPrefix = freshPrefix();
  const keys = fleetKeys(keyPrefix, SHARDS);
  const client = new Redis(redis.url);
  const first = await startHub(keyPrefix, 'hub-a');
  const agents = Array.from({ length: AGENTS }, (_, n) => new Agent(`node-${n}`));
  for (const agent of agents) await agent.act(first);
  const sessions = new Map(agents.map(({ id, now }) => [id, now?.session.session]));
  const touched = new Set<string>();
  for (const { mutation, index } of touches) {
    const { id } = agents[index] ?? { id: '' };
    const of = keys.shards[first.store.shardOf(id)];
    if (!of) throw new Error('there is no such shard');
    touched.add(id);
    // An earlier one may have made a key of another type.
    for (const [name, ...args] of MUTATIONS[mutation]?.({ id, keys, of }) ?? [])
      await client.call(name, ...args).catch(() => {});
  }
  const fresh = await startHub(keyPrefix, 'hub-b');
  const whole = async (agent: Agent): Promise<boolean> => {
    await agent.act(first);
    const shown = [first, fresh].map(({ fleet }) => fleet.view.get(agent.id));
    const stored = await first.store.read(agent.id).catch(() => undefined);
    return (
      shown.every((held) => held?.node.status === 'online' && held.session === agent.now?.session.session) &&
      stored?.kind === 'node' &&
      stored.record.node.hostname === agent.id &&
      shown.every((held) => held?.node.seq === stored.record.node.seq)
    );
  };
  for (const { fleet } of [first, fresh])
    await until(`${fleet.hubId} is ready`, () => fleet.ready && fleet.view.loaded);
  for (const agent of agents) await until(`${agent.id} is whole on both hubs`, () => whole(agent));
  const unharmed = agents.filter(({ id }) => !touched.has(id));
  for (const { id, now } of unharmed) {
    expect(now?.link.ended).toEqual([]);
    expect(now?.session.session).toBe(sessions.get(id));
  }
  await client.quit();
  return { first, fresh, keys, client, agents };
}

describe('bad data under the keys of a fleet', () => {
  it.each(Object.keys(MUTATIONS))(
    '[BAD-1] holds up no hub, harms no other node, and its agent is whole again: %s',
    async (mutation) => {
      await disturbed([{ mutation, index: 0 }]);
    },
  );

  it('[BAD-2] is said once, counted, and put aside under a key that says what it was', async () => {
    const { fresh, keys } = await disturbed([
      { mutation: 'a record that is no JSON', index: 0 },
      { mutation: 'an entry that is no JSON', index: 1 },
      { mutation: 'stats that are no JSON', index: 2 },
    ]);
    const of = keys.shards[fresh.store.shardOf('node-0')];
    expect(await redis.cli('HGET', `${of?.prefix}quarantine:node:node-0`, 'record')).toBe('{"id":');
    expect(Number(await redis.cli('PTTL', `${of?.prefix}quarantine:node:node-0`))).toBeGreaterThan(0);
    expect(await redis.cli('ZRANGE', `${of?.prefix}quarantine`, '0', '-1')).toContain('node:node-0');
    expect(fresh.counted).toContain('key');
    await Promise.all([1, 2, 3].map(() => fresh.fleet.history({ limit: 100 })));
    for (const { lines, counted } of running) {
      expect(new Set(lines).size).toBe(lines.length);
      expect(counted.filter((kind) => kind === 'entry').length).toBeLessThanOrEqual(2);
    }
  });

  it('[BAD-2] so are keys of the whole fleet', async () => {
    const { first, keys } = await disturbed([]);
    const client = new Redis(redis.url);
    for (const key of [keys.hubs, keys.meta]) {
      await client.del(key);
      await client.set(key, 'rubbish');
    }
    await first.store.leases();
    const third = await startHub(keys.keyPrefix, 'hub-c');
    await until('hub-c is ready', () => third.fleet.ready);
    expect([...first.counted, ...third.counted].filter((kind) => kind === 'key').length).toBe(2);
    for (const key of [keys.hubs, keys.meta])
      expect(await client.get(`${keys.keyPrefix}:quarantine:{${key}}`)).toBe('rubbish');
    await client.quit();
  });

  it('[BAD-3] of which only some fields cannot be read keeps the others', async () => {
    const { first, keys } = await disturbed([]);
    const of = keys.shards[first.store.shardOf('node-0')];
    const stored = JSON.parse(await redis.cli('HGET', of?.node('node-0') ?? '', 'record'));
    const { pools: _, ...without } = stored;
    await redis.cli('HSET', of?.node('node-0') ?? '', 'record', JSON.stringify({ ...without, labels: 7 }));
    expect(await first.store.read('node-0')).toMatchObject({
      record: { node: { hostname: 'node-0', createdAt: stored.createdAt, pools: [], labels: {} } },
    });
    expect(first.counted).toEqual(['fields']);
  });

  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['cpu', { cpu: 5 }, {}],
    ['memory', { memory: 'x' }, {}],
    ['capacity', { capacity: [1] }, {}],
    ['metadata', { metadata: [] }, {}],
    ['agent', { agent: 'x' }, {}],
    ['trust', { trust: 'x' }, { trust: { by: 'token' } }],
    ['the proof of a newer hub', { trust: { by: 'attested' } }, { trust: { by: 'token' } }],
    ['by', { evidence: { by: 5 } }, { evidence: {} }],
    ['closeCode', { evidence: { closeCode: 'x' } }, { evidence: {} }],
    ['a status of a condition', { conditions: [{ type: 'disk', status: 'weird' }] }, { conditions: [] }],
    [
      'one condition of two',
      {
        conditions: [
          { type: 'disk', status: 'weird' },
          { type: 'fan', status: 'fail' },
        ],
      },
      { conditions: [{ type: 'fan', status: 'fail' }] },
    ],
    ['a day', { statusSince: '2026-99-99T00:00:00.000Z' }, {}],
    ['a reason', { reason: 'martian' }, { reason: 'unknown' }],
    ['a version of another change', { seq: 9_007_199_254_740_991 }, { seq: 2 }],
  ])(
    '[BAD-3] readers get what their schema takes, also where the store holds a wrong %s',
    (_name, wrong, right) => {
      const at = '2026-11-28T12:00:00.000Z';
      const node = {
        ...{ id: 'n-1', seq: 2, hostname: 'n-1', labels: {}, roles: [], pools: [], status: 'online' },
        ...{ reason: 'registered', statusSince: at, conditions: [], evidence: {}, connection: null },
        ...{ heartbeat: { intervalMs: 1_000, timeoutMs: 3_000 }, createdAt: at, registeredAt: at },
      };
      const event = {
        ...{ seq: 2, type: 'updated', nodeId: 'n-1', at, from: 'online', to: 'online' },
        ...{ reason: 'registered', evidence: {} },
      };
      expect(readEvent({ ...event, node }, 'n-1')).toMatchObject({ salvaged: false });
      const read = readEvent({ ...event, node: { ...node, ...wrong } }, 'n-1')?.event;
      expect(fleetEventSchema.safeParse(read)).toMatchObject({ success: true });
      expect(read?.node).toMatchObject({ hostname: 'n-1', seq: 2, ...right });
      const about = readEvent({ ...event, node, evidence: { by: 7 } }, 'n-1')?.event;
      expect(about).toMatchObject({ evidence: {}, node: { hostname: 'n-1' } });
      const newer = readEvent({ ...event, node, type: 'moved', reason: 'martian' }, 'n-1')?.event;
      expect(fleetEventSchema.safeParse(newer)).toMatchObject({ success: true });
      expect(newer).toMatchObject({ type: 'updated', reason: 'unknown' });
    },
  );

  it.each([
    [
      { intervalMs: 20_000, timeoutMs: 1e15 },
      { intervalMs: 20_000, timeoutMs: 60_000 },
    ],
    [
      { intervalMs: 600_000, timeoutMs: 86_400_001 },
      { intervalMs: 600_000, timeoutMs: 1_800_000 },
    ],
    [
      { intervalMs: 1e12, timeoutMs: 3e12 },
      { intervalMs: 10_000, timeoutMs: 30_000 },
    ],
    [
      { intervalMs: 600_000, timeoutMs: 86_400_000 },
      { intervalMs: 600_000, timeoutMs: 86_400_000 },
    ],
  ])('[BAD-5] the timing %j counts as %j', (heartbeat, right) => {
    const record = { id: 'n-1', seq: 2, hostname: 'n-1', status: 'online', heartbeat };
    expect(readNode(record, 'n-1', '2026-11-28T12:00:00.000Z')?.node.heartbeat).toEqual(right);
    const given = `s ${heartbeat.intervalMs} ${heartbeat.timeoutMs}`;
    expect(toTiming(given, 's')).toEqual(right.timeoutMs === heartbeat.timeoutMs ? right : undefined);
  });

  it('[BAD-1] so does any mixture of it', { timeout: 120_000 }, async () => {
    const touch = fc.record({
      mutation: fc.constantFrom(...Object.keys(MUTATIONS)),
      index: fc.nat(AGENTS - 2),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(touch, { minLength: 2, maxLength: 5 }), async (touches) => {
        await disturbed(touches);
        for (const { fleet, store } of running.splice(0)) {
          await fleet.stop();
          await store.close();
        }
      }),
      { numRuns: 8 },
    );
  });
});

describe('hubs of two numbers of shards', () => {
  it('[BAD-4] the running ones claim back what they lost, with one line, and the other one ends', async () => {
    const keyPrefix = freshPrefix();
    const { meta } = fleetKeys(keyPrefix, SHARDS);
    const link = await CutLink.to(redis.port);
    onTestFinished(() => link.close());
    const { fleet, store, lines } = await startHub(keyPrefix, 'hub-a', `redis://127.0.0.1:${link.port}`);
    const agent = await registerAgent(fleet, registerMessage({ nodeId: 'a' }));
    // An emptied Redis, and a hub with another number that comes first: the one that runs is out of reach until then.
    link.cut = 'both';
    const all = await redis.cli('--scan', '--pattern', `${keyPrefix}:*`);
    await redis.cli('DEL', ...all.split('\n'));
    const refused: string[] = [];
    const other = new RedisStore({
      ...{ url: redis.url, clock: systemClock, keyPrefix, shards: 8 },
      refused: ({ message }) => void refused.push(message),
    });
    await other.open();
    expect(await redis.cli('HGET', meta, 'shards')).toBe('8');
    link.mend();
    await until('the hub has put its node back', async () => {
      const stored = await store.read('a').catch(() => undefined);
      return fleet.ready && stored?.kind === 'node';
    });
    expect(await redis.cli('HGET', meta, 'shards')).toBe(String(SHARDS));
    expect(lines.filter((line) => line.includes('claimed them back'))).toHaveLength(1);
    expect(lines.filter((line) => line.includes('failed'))).toEqual([]);
    const lease = { hubId: 'other', address: 'x:1', sessions: 0, version: 'test' };
    await expect(other.renewLease(lease, 5_000)).rejects.toThrow(/SHARDS \(8\) must be 2/);
    expect(refused).toHaveLength(1);
    await expect(other.attach(0)).rejects.toThrow(StoreRefusedError);
    expect(agent.link.ended).toEqual([]);
    await other.close();
  });

  it.each([
    ['shards', '99'],
    ['format', '7'],
    ['claimedAt', 'yesterday', 'shards', '8'],
  ])(
    '[BAD-4] a claim that is overwritten by hand (%s %s) is put back, and no hub ends',
    async (...fields) => {
      const keyPrefix = freshPrefix();
      const { meta } = fleetKeys(keyPrefix, SHARDS);
      const first = await startHub(keyPrefix, 'hub-a');
      const hubs = [first, await startHub(keyPrefix, 'hub-b')];
      const agent = await registerAgent(first.fleet, registerMessage({ nodeId: 'a' }));
      await redis.cli('HSET', meta, ...fields);
      await until('both have it as it was', async () => {
        const claim = await redis.cli('HMGET', meta, 'format', 'shards');
        return claim.split('\n').join(' ') === `1 ${SHARDS}`;
      });
      for (const { fleet } of hubs) expect(fleet.ready).toBe(true);
      expect(await first.store.read('a')).toMatchObject({ kind: 'node' });
      expect(agent.link.ended).toEqual([]);
      const said = hubs.map(({ lines }) => lines.filter((line) => line.includes('claimed them back')).length);
      expect(Math.max(...said)).toBe(1);
    },
  );

  it('[BAD-4] one that starts while the claim stands is refused', async () => {
    const keyPrefix = freshPrefix();
    await startHub(keyPrefix, 'hub-a');
    const late = new RedisStore({ url: redis.url, clock: systemClock, keyPrefix, shards: 8 });
    await expect(late.open()).rejects.toThrow(StoreRefusedError);
  });
});
