import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Fleet } from '../../server/fleet/fleet.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import type { FleetEvent } from '../../shared/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import {
  registerAgent,
  registerMessage,
  sendStats,
  type TestAgent,
  testFleet,
} from '../support/test-fleet.ts';

describe('a store that is away, or loses data', () => {
  let clock: FakeClock;
  let memory: MemoryFleet;
  let store: FaultyStore;
  let fleet: Fleet;
  const others: Fleet[] = [];

  beforeEach(async () => {
    clock = new FakeClock();
    memory = new MemoryFleet(clock, 2);
    store = new FaultyStore(new MemoryStore(memory));
    fleet = testFleet(store, clock);
    await fleet.start();
    await clock.advance(31_000);
  });
  afterEach(async () => {
    store.fault = 'none';
    const stops = [fleet, ...others.splice(0)].map((each) => each.stop());
    await clock.advance(1);
    await Promise.all(stops);
  });

  async function register(id: string, on: Fleet = fleet): Promise<TestAgent> {
    const registered = registerAgent(on, registerMessage({ nodeId: id }));
    await clock.advance(200);
    return registered;
  }

  async function beating(agents: readonly TestAgent[], ms: number, on: Fleet = fleet): Promise<void> {
    for (let passed = 0; passed < ms; passed += 10_000) {
      for (const { session } of agents) on.heartbeat(session);
      await clock.advance(10_000);
    }
  }

  const node = (id: string, on: Fleet = fleet) => on.view.get(id)?.node;
  const history = (id: string): Promise<FleetEvent[]> => fleet.history({ id, limit: 100 });
  const emptyAll = () => memory.shards.forEach((_, shard) => void memory.empty(shard));

  it.each([20_000, 300_000])(
    '[AWAY-1] nobody who beats turns offline over an outage of %i ms',
    async (outageMs) => {
      const agents = await Promise.all(['a', 'b', 'c'].map((id) => register(id)));
      store.fault = 'away';
      await beating(agents, outageMs);
      expect(fleet.state.state).toBe('stale');
      expect(fleet.ready).toBe(false);
      store.fault = 'none';
      await beating(agents, 60_000);
      expect(fleet.state.state).toBe('live');
      for (const id of ['a', 'b', 'c']) expect((await history(id)).map(({ to }) => to)).toEqual(['online']);
    },
  );

  it('[AWAY-2] who fell silent during the outage is judged one timeout after it', async () => {
    await register('silent');
    store.fault = 'away';
    await clock.advance(100_000);
    store.fault = 'none';
    await clock.advance(29_000);
    expect(node('silent')?.status).toBe('online');
    await clock.advance(1_500);
    expect(node('silent')?.status).toBe('offline');
  });

  it('[AWAY-3] registering and deregistering are refused while the store is away, and nobody is admitted', async () => {
    const { session } = await register('a');
    store.fault = 'away';
    await clock.advance(500);
    expect(fleet.admits).toBe(false);
    const refused = fleet.registrar.register(registerMessage({ nodeId: 'new' }), {
      remoteAddress: 'x',
      end: () => {},
      understands: () => false,
      send: () => true,
    });
    expect(await refused).toEqual({ kind: 'busy' });
    expect(await fleet.deregister(session)).toBe('busy');
    store.fault = 'none';
    await clock.advance(200);
    const removal = fleet.deregister(session);
    await clock.advance(200);
    expect(await removal).toBe('removed');
  });

  it('[AWAY-4] a close during the outage is told after it, unless its agent is back', async () => {
    const gone = await register('gone');
    const moved = await register('moved');
    const other = testFleet(new MemoryStore(memory), clock, 'hub-b');
    others.push(other);
    await other.start();
    store.fault = 'away';
    await clock.advance(200);
    void fleet.closed(gone.session, { goodbye: false, code: 1006 });
    void fleet.closed(moved.session, { goodbye: true, code: 1000 });
    await clock.advance(1_000);
    await register('moved', other);
    store.fault = 'none';
    await clock.advance(300);
    expect(node('gone')).toMatchObject({ status: 'unreachable', reason: 'connection_lost' });
    expect(node('moved')?.status).toBe('online');
  });

  it('[AWAY-4] so is a close whose one call failed, without any outage', async () => {
    const { session } = await register('a');
    await clock.advance(50);
    store.fault = 'away';
    void fleet.closed(session, { goodbye: false, code: 1006 });
    store.fault = 'none';
    await clock.advance(500);
    expect(node('a')).toMatchObject({ seq: 2, status: 'unreachable' });
  });

  it('[AWAY-5] a commit whose answer was lost is not done twice', async () => {
    const { session } = await register('a');
    store.fault = 'after';
    void fleet.closed(session, { goodbye: false, code: 1006 });
    await clock.advance(50);
    store.fault = 'none';
    await clock.advance(500);
    expect(node('a')).toMatchObject({ seq: 2, status: 'unreachable' });
    expect(await history('a')).toHaveLength(2);
  });

  it('[AWAY-6] what waits is bounded by the sessions: the newest heartbeat and stats of each', async () => {
    const { session } = await register('a');
    store.fault = 'away';
    await clock.advance(200);
    const before = store.calls.get('beat') ?? 0;
    for (let round = 0; round < 500; round += 1) {
      sendStats(fleet, session, { cpuPercent: round });
      fleet.heartbeat(session);
      await clock.advance(100);
    }
    store.fault = 'none';
    await clock.advance(300);
    expect(store.calls.get('beat')).toBe(before + 1);
    const [record] = [fleet.view.get('a')].filter((held) => held !== undefined).map(({ node: seen }) => seen);
    const stats = record && (await fleet.stats([record]));
    expect(stats?.get('a')).toMatchObject({ cpuPercent: 499 });
  });

  it('[LOSS-1] an emptied store gets the same nodes back: ids, createdAt, no lower seq, offline ones and tombstones too', async () => {
    const alive = await register('alive');
    const gone = await register('gone');
    const removed = await register('removed');
    void fleet.closed(gone.session, { goodbye: true, code: 1000 });
    const removal = fleet.deregister(removed.session);
    await clock.advance(200);
    await removal;
    const before = ['alive', 'gone'].map((id) => node(id));
    emptyAll();
    await beating([alive], 60_000);
    expect(['alive', 'gone'].map((id) => node(id))).toEqual(before);
    for (const id of ['alive', 'gone']) {
      expect(await store.read(id)).toMatchObject({
        kind: 'node',
        record: { node: { status: node(id)?.status } },
      });
      expect((await history(id)).map(({ to }) => to)).not.toContain(id === 'alive' ? 'offline' : 'online');
    }
    expect((await register('removed')).reply.node.seq).toBe(3);
  });

  it('[LOSS-2] the session that speaks for a node survives the loss, and is judged as before', async () => {
    const { session } = await register('a');
    emptyAll();
    await clock.advance(300);
    fleet.heartbeat(session);
    await clock.advance(29_000);
    expect(node('a')?.status).toBe('online');
    await clock.advance(32_000);
    expect(node('a')?.status).toBe('offline');
  });

  it('[LOSS-3] two hubs restore the same loss to one state, and a node that registered meanwhile keeps its createdAt', async () => {
    const other = testFleet(new MemoryStore(memory), clock, 'hub-b');
    others.push(other);
    await other.start();
    await register('a');
    await register('b', other);
    const moved = await register('moved', other);
    emptyAll();
    store.fault = 'away';
    await clock.advance(300);
    const again = await register('moved', other);
    expect(again.reply.createdAt).toBe(moved.reply.createdAt);
    store.fault = 'none';
    await clock.advance(1_000);
    for (const id of ['a', 'b', 'moved']) {
      expect(node(id)).toEqual(node(id, other));
      expect(await store.read(id)).toMatchObject({ record: { node: node(id) } });
    }
    expect(node('moved')).toMatchObject({ status: 'online', createdAt: moved.reply.createdAt });
    expect(again.link.ended).toEqual([]);
  });

  it('[LOSS-4] a fresh hub that registered a node in the emptied store gets the older createdAt and a higher seq', async () => {
    const first = await register('n');
    const instanceId = randomUUID();
    store.fault = 'away';
    emptyAll();
    const fresh = testFleet(new MemoryStore(memory), clock, 'hub-fresh');
    others.push(fresh);
    await fresh.start();
    await clock.advance(1_000);
    const registered = registerAgent(fresh, registerMessage({ nodeId: 'n' }, { instanceId }));
    await clock.advance(100);
    const second = await registered;
    expect(second.reply.node.seq).toBe(1);
    store.fault = 'none';
    await clock.advance(1_000);
    expect(node('n', fresh)).toMatchObject({ seq: 2, createdAt: first.reply.createdAt, status: 'online' });
    expect(node('n')).toEqual(node('n', fresh));
    expect(second.link.ended).toEqual([]);
    fleet.heartbeat(first.session);
    await clock.advance(300);
    expect(first.link.ended).toMatchObject([{ code: 4409 }]);
  });

  it('[LOSS-5] dashboards are told that the view was loaded afresh', async () => {
    const reasons: string[] = [];
    fleet.view.listen({ changed: () => {}, reloaded: (reason) => void reasons.push(reason) });
    await register('a');
    emptyAll();
    await clock.advance(500);
    expect(reasons.length).toBeGreaterThan(0);
    expect(reasons[0]).toContain('lost data');
  });
});
