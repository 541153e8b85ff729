import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeRecord, StoreAwayError } from '../../../server/store/fleet-store.ts';
import { fleetKeys } from '../../../server/store/redis/keys.ts';
import type { RedisStore } from '../../../server/store/redis/redis-store.ts';
import { lostNode, registration, statusChange } from '../../support/fixtures.ts';
import { type RedisCluster, startCluster } from '../../support/redis-cluster.ts';
import { holderOf, SlotMove } from '../../support/slot-move.ts';
import { done, idsOfOneShard, positionOf } from '../contract/setting.ts';
import { freshPrefix, openStore, until } from './redis-fleet.ts';

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await startCluster(2);
});
afterAll(() => cluster.stop());

/** The answer, or `away` where the store cannot tell. */
const orAway = <T>(answer: Promise<T>): Promise<T | 'away'> =>
  answer.catch((error: unknown) => {
    if (error instanceof StoreAwayError) return 'away';
    throw error;
  });

async function snapshotIds(store: RedisStore, shard: number): Promise<string[]> {
  const { pages } = await store.snapshot(shard);
  const ids: string[] = [];
  for await (const page of pages) ids.push(...page.map(({ node }) => node.id));
  return ids.sort();
}

describe('a slot on its way to another master', () => {
  const SHARDS = 4;

  it.for([
    ['the heads of the shard went first', (key: string) => /:(epoch|deadlines|events)$/.test(key)],
    ['the nodes went first', (key: string) => key.includes(':node:')],
    ['the heartbeats went first', (key: string) => key.includes(':beat:')],
    ['the heads and the heartbeats went first', (key: string) => !key.includes(':node:')],
  ] as const)('is away or answers right, and arrives whole: %s', async ([, goesFirst]) => {
    const keyPrefix = freshPrefix();
    const store = await openStore({
      ...{ url: cluster.url, keyPrefix, shards: SHARDS },
      commandTimeoutMs: 1_000,
    });
    const ids = idsOfOneShard(store, 4);
    const shard = store.shardOf(ids[0] ?? '');
    const keys = fleetKeys(keyPrefix, SHARDS).shards[shard];
    if (!keys) throw new Error('there is no such shard');
    const records: NodeRecord[] = [];
    for (const id of ids) records.push(await done(store, registration({ id, timeoutMs: 300 })));
    const [first, ...rest] = records;
    if (!first) throw new Error('nothing was registered');
    // Their deadlines pass, and yet they beat.
    const beats = records.map(({ node, session }) => ({ id: node.id, session, ttlMs: 60_000, stats: '{}' }));
    expect(await store.beat(shard, beats)).toEqual({ refused: [], returned: [] });
    const after = await positionOf(store, shard);
    const dueAt = Date.now() + 400;
    await until(() => Date.now() > dueAt);

    const from = await holderOf(keys.epoch, cluster.nodes);
    const to = cluster.nodes.find((node) => node !== from) ?? from;
    const move = await SlotMove.begin(keys.epoch, from, to);
    await move.move((await move.left()).filter(goesFirst));
    const look = { skip: 0, limit: 10 };
    const asked = {
      tick: orAway(store.tick(shard, { after, limit: 10, overdue: look })),
      beat: orAway(store.beat(shard, beats)),
      read: orAway(store.read(first.node.id)),
      stats: orAway(store.stats(ids.map((id) => ({ id, timeoutMs: 60_000 })))),
      snapshot: orAway(snapshotIds(store, shard)),
      restore: orAway(store.restore(shard, [lostNode(first)])),
      newcomer: orAway(store.commit(registration({ id: idsOfOneShard(store, 5)[4] ?? '' }))),
      offline: orAway(
        store.commit(
          statusChange(first, { status: 'offline', reason: 'heartbeat_timeout', onlyIfSilent: true }),
        ),
      ),
    };
    const isOneOf = async (answer: Promise<unknown>, right: unknown) => {
      const got = await answer;
      if (got !== 'away') expect(got).toEqual(right);
    };
    await isOneOf(asked.tick, expect.objectContaining({ kind: 'news', silent: [] }));
    await isOneOf(asked.beat, { refused: [], returned: [] });
    await isOneOf(asked.read, { kind: 'node', record: first, restored: false });
    await isOneOf(asked.snapshot, ids);
    await isOneOf(asked.restore, []);
    await isOneOf(asked.newcomer, 'done');
    await isOneOf(asked.offline, 'still-beating');
    const stats = await asked.stats;
    if (stats !== 'away') expect([...stats.keys()].sort()).toEqual(ids.toSorted());

    await move.finish(cluster.nodes);
    await until(async () => (await orAway(store.read(first.node.id))) !== 'away');
    expect(await store.read(first.node.id)).toEqual({ kind: 'node', record: first, restored: false });
    expect(await snapshotIds(store, shard)).toEqual(expect.arrayContaining(ids));
    expect(await store.tick(shard, { after, limit: 10, overdue: look })).toMatchObject({
      kind: 'news',
      silent: [],
    });
    for (const { node } of rest) expect(Number(await to.cli('PTTL', keys.beat(node.id)))).toBeGreaterThan(0);
    await store.close();
  });
});
