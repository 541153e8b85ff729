import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Fleet } from '../../server/fleet/fleet.ts';
import { NoView } from '../../server/picture/no-view.ts';
import type { RemovalPrecondition } from '../../server/rules/removal.ts';
import { systemClock } from '../../server/runtime/clock.ts';
import { RedisStore } from '../../server/store/redis/redis-store.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { registerAgent, registerMessage, testFleet } from '../support/test-fleet.ts';
import { until } from '../support/until.ts';

const SHARDS = 4;

describe('removals and a Redis that comes back with an older dump', () => {
  let redis: RedisServer;
  let prefixes = 0;
  let keyPrefix = '';
  const running: Array<{ fleet: Fleet; store: RedisStore }> = [];

  beforeAll(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    for (const { fleet, store } of running.splice(0)) {
      await fleet.stop();
      await store.close();
    }
  });
  afterAll(() => redis.stop());

  async function start(hubId: string, keepsView = true): Promise<Fleet> {
    const store = new RedisStore({ url: redis.url, clock: systemClock, keyPrefix, shards: SHARDS });
    await store.open();
    const view = keepsView ? {} : { view: new NoView(systemClock, SHARDS) };
    const fleet = testFleet(store, systemClock, hubId, undefined, view);
    await fleet.start();
    running.push({ fleet, store });
    return fleet;
  }

  function fresh(): void {
    prefixes += 1;
    keyPrefix = `removals-${prefixes}`;
  }

  const register = (fleet: Fleet, id: string) => registerAgent(fleet, registerMessage({ nodeId: id }));
  const dump = () => redis.cli('SAVE');
  /** Kills Redis and starts it with its last dump; everything after that is lost. */
  async function loseTail(): Promise<void> {
    await redis.restart({ keepData: true });
    for (const { fleet } of running) await until(`${fleet.hubId} has its store again`, () => fleet.ready);
  }
  const stored = async (fleet: Fleet, id: string) => fleet.store.read(id).catch(() => undefined);
  const isGone = (fleet: Fleet, id: string, version: number) =>
    until(`${id} is gone`, async () => {
      const now = await stored(fleet, id);
      return now?.kind === 'gone' && now.tombstone.version >= version;
    });

  it('[LOSS-6] a node that was removed does not come back, on any hub, and its agent is told so', async () => {
    fresh();
    const one = await start('hub-a');
    const other = await start('hub-b');
    const left = await register(one, 'left');
    const taken = await register(other, 'taken');
    await register(one, 'stays');
    await dump();
    expect(await one.deregister(left.session)).toBe('removed');
    expect(await one.removals.remove('taken', { reason: 'removed_by_operator' })).toBe('removed');
    await until('its agent is told', () => taken.link.ended.length > 0);
    await loseTail();
    for (const id of ['left', 'taken']) {
      await isGone(one, id, 2);
      for (const fleet of [one, other]) await until('no view has it', () => fleet.view.get(id) === undefined);
    }
    expect(await stored(one, 'stays')).toMatchObject({
      kind: 'node',
      record: { node: { status: 'online' } },
    });
    const again = await register(other, 'left');
    expect(again.reply).toMatchObject({ reregistered: false });
    expect(again.reply.node.seq).toBeGreaterThan(2);
    expect(again.reply.createdAt > left.reply.createdAt).toBe(true);
  });

  it('[API-22] a removal of what is offline is decided on what is stored, though this hub has not heard of it yet', async () => {
    fresh();
    const one = await start('hub-a');
    const other = await start('hub-b');
    const { session } = await register(one, 'n');
    await until('both see it', () => other.view.get('n') !== undefined);
    const only: RemovalPrecondition = { filter: { status: ['offline'] } };
    const ask = { reason: 'removed_by_operator', only } as const;
    expect(await other.operators.remove('n', ask)).toMatchObject({ left: { status: 'online' } });
    await one.closed(session, { goodbye: true, code: 1000 });
    // Its view may still say online.
    const back = register(one, 'n');
    const removal = await other.operators.remove('n', ask);
    await back;
    if (removal !== 'removed') expect(removal).toMatchObject({ left: { status: 'online' } });
    const now = await stored(one, 'n');
    expect(now).toMatchObject({ kind: 'node', record: { node: { status: 'online' } } });
  });

  it('[LOSS-6] nor where only hubs without a view saw its removal', async () => {
    fresh();
    const door = await start('door', false);
    const { session } = await register(door, 'left');
    await dump();
    expect(await door.deregister(session)).toBe('removed');
    await loseTail();
    await isGone(door, 'left', 2);
  });

  it('[LOSS-6] nor where the hub heard of the loss before it read its own removal', async () => {
    fresh();
    const one = await start('hub-a');
    const { session } = await register(one, 'left');
    await until('the view has it', () => one.view.get('left'));
    await dump();
    const removal = one.deregister(session);
    await until('it is written', async () => (await stored(one, 'left'))?.kind === 'gone');
    await loseTail();
    await removal;
    await isGone(one, 'left', 2);
    await until('the view lost it', () => one.view.get('left') === undefined);
  });

  it('[LOSS-7] a registration after the removal stands, with its own createdAt', async () => {
    fresh();
    const one = await start('hub-a');
    await start('hub-b');
    const first = await register(one, 'a');
    await dump();
    expect(await one.deregister(first.session)).toBe('removed');
    const second = await register(one, 'a');
    expect(second.reply.createdAt > first.reply.createdAt).toBe(true);
    await loseTail();
    const { session, reply } = second;
    const now = await until('it is put back', async () => {
      const held = await stored(one, 'a');
      return held?.kind === 'node' && held.record.session === session.session && held.record.node;
    });
    expect(now).toMatchObject({ createdAt: reply.createdAt, status: 'online' });
    expect(now.seq).toBeGreaterThan(reply.node.seq);
    expect(second.link.ended).toEqual([]);
  });
});
