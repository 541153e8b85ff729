import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Fleet } from '../../server/fleet/fleet.ts';
import { NoView } from '../../server/picture/no-view.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import type { FleetNode } from '../../shared/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import {
  registerAgent,
  registerMessage,
  type TestAgent,
  TestLink,
  TIMING,
  testFleet,
} from '../support/test-fleet.ts';

const TIMEOUT_MS = TIMING.timeoutMs;
/** More than the shortest log keeps. */
const LOG_ENTRIES = 20;

describe('a hub without a view of the fleet', () => {
  let clock: FakeClock;
  let memory: MemoryFleet;
  let doorStore: FaultyStore;
  let door: Fleet;
  let viewer: Fleet;
  const others: Fleet[] = [];

  beforeEach(async () => {
    clock = new FakeClock();
    memory = new MemoryFleet(clock, 2, LOG_ENTRIES);
    doorStore = new FaultyStore(new MemoryStore(memory));
    door = testFleet(doorStore, clock, 'door', TIMING, { view: new NoView(clock, 2) });
    viewer = testFleet(new MemoryStore(memory), clock, 'viewer');
    await Promise.all([door.start(), viewer.start()]);
    await clock.advance(TIMEOUT_MS + 1_000);
  });
  afterEach(async () => {
    doorStore.fault = 'none';
    const stops = [door, viewer, ...others.splice(0)].map((each) => each.stop());
    await clock.advance(1);
    await Promise.all(stops);
  });

  async function register(id: string, on: Fleet, fact = {}): Promise<TestAgent> {
    const registered = registerAgent(on, registerMessage({ nodeId: id, ...fact }));
    await clock.advance(200);
    return registered;
  }
  const shown = (id: string, on = viewer): FleetNode | undefined => on.view.get(id)?.node;

  it('[ROLE-4] keeps no record but those of its own sessions', async () => {
    await register('mine', door);
    for (let index = 0; index < 30; index += 1) await register(`other-${index}`, viewer);
    expect(viewer.view.size).toBe(31);
    expect([door.view.size, door.sessions.size]).toEqual([0, 1]);
    expect(doorStore.calls.get('snapshot')).toBe(2);
    // One read of a node that is not its own, whenever somebody asks.
    expect(await door.node('other-7')).toEqual(shown('other-7'));
  });

  it('[ADM-9] takes no new node into a full fleet, by the count of the store and the log', async () => {
    await register('n-1', viewer);
    const full = testFleet(new MemoryStore(memory), clock, 'full', TIMING, {
      view: new NoView(clock, 2),
      maxNodes: 3,
    });
    others.push(full);
    await full.start();
    await register('n-2', full);
    await register('n-3', viewer);
    const outcome = async (id: string) => {
      const asked = full.registrar.register(registerMessage({ nodeId: id }), new TestLink());
      await clock.advance(200);
      return asked;
    };
    expect(await outcome('n-4')).toMatchObject({ kind: 'held', code: 'fleet_full' });
    expect(await outcome('n-1')).toMatchObject({ kind: 'registered' });
    const removed = viewer.removals.remove('n-3', { reason: 'removed_by_operator' });
    await clock.advance(200);
    await removed;
    expect(await outcome('n-4')).toMatchObject({ kind: 'registered' });
  });

  it('[ROLE-4] reads no records when it starts', async () => {
    await register('other', viewer);
    const pages: number[] = [];
    const inner = new MemoryStore(memory);
    const counting = new FaultyStore(inner);
    counting.snapshot = async (shard) => {
      const { position, pages: all } = await inner.snapshot(shard);
      return {
        position,
        pages: {
          [Symbol.asyncIterator]: () => {
            pages.push(shard);
            return all[Symbol.asyncIterator]();
          },
        },
      };
    };
    const late = testFleet(counting, clock, 'late', TIMING, { view: new NoView(clock, 2) });
    others.push(late);
    await late.start();
    expect([late.ready, pages]).toEqual([true, []]);
  });

  it('[ROLE-5] registers nodes that it never saw at their next version, without waiting for a view', async () => {
    await register('a', viewer);
    await viewer.removals.remove('a', { reason: 'removed_by_operator' });
    await clock.advance(200);
    const gone = await registerAgent(door, registerMessage({ nodeId: 'a' }));
    expect(gone.reply).toMatchObject({ reregistered: false, node: { seq: 3 } });
    const known = await registerAgent(door, registerMessage({ nodeId: 'a' }));
    expect(known.reply).toMatchObject({ reregistered: true, node: { seq: 4 } });
    expect(gone.link.ended).toMatchObject([{ code: 4409 }]);
    // The store was read, and no commit was tried in vain.
    expect(doorStore.calls.get('commit')).toBe(2);
  });

  it('[ROLE-5] ends sessions that a newer one, or a removal on another hub, ends', async () => {
    const [a, b] = [await register('a', door), await register('b', door)];
    await register('a', viewer);
    await viewer.removals.remove('b', { reason: 'removed_by_operator' });
    await clock.advance(200);
    expect(a.link.ended).toMatchObject([{ code: 4409 }]);
    expect(b.link.ended).toMatchObject([{ code: 4404 }]);
    expect(door.sessions.size).toBe(0);
  });

  it('[ROLE-5] knows the newest of its own nodes, also where it did not write it for a session', async () => {
    const { session } = await register('a', door);
    await clock.advance(TIMEOUT_MS + 1_000);
    expect(session.record.node).toEqual(shown('a'));
    expect(session.record.node).toMatchObject({ seq: 2, status: 'offline' });
  });

  it('[ROLE-6] judges who is silent, alone and in the whole fleet', async () => {
    await register('a', viewer);
    await viewer.stop();
    await clock.advance(3 * TIMEOUT_MS);
    const late = testFleet(new MemoryStore(memory), clock, 'late');
    others.push(late);
    await late.start();
    expect(shown('a', late)).toMatchObject({ status: 'offline', reason: 'heartbeat_timeout' });
  });

  it('[ROLE-7] puts back its own nodes into an emptied store, and hubs with a view the others', async () => {
    const { session } = await register('mine', door);
    await register('other', viewer);
    const before = ['mine', 'other'].map((id) => shown(id));
    memory.shards.forEach((_, shard) => void memory.empty(shard));
    await clock.advance(1_000);
    door.heartbeat(session);
    await clock.advance(200);
    for (const [index, id] of ['mine', 'other'].entries()) {
      expect(shown(id)).toMatchObject({ id, createdAt: before[index]?.createdAt, status: 'online' });
      expect(shown(id)?.seq).toBeGreaterThanOrEqual(before[index]?.seq ?? Number.POSITIVE_INFINITY);
    }
    expect(session.ended).toBe(false);
  });

  it('[ROLE-7] without any other hub, its own nodes only', async () => {
    await register('mine', door);
    await register('other', viewer);
    await viewer.stop();
    memory.shards.forEach((_, shard) => void memory.empty(shard));
    await clock.advance(1_000);
    const late = testFleet(new MemoryStore(memory), clock, 'late');
    others.push(late);
    await late.start();
    expect([shown('mine', late)?.status, shown('other', late)]).toEqual(['online', undefined]);
  });

  it('[ROLE-8] looks again who speaks for its nodes where it was slower than the log is long', async () => {
    const agents = await Promise.all(['kept', 'taken', 'removed'].map((id) => register(id, door)));
    const [kept, taken, removed] = agents;
    doorStore.fault = 'away';
    await clock.advance(TIMEOUT_MS + 1_000);
    expect(shown('kept')).toMatchObject({ seq: 2, reason: 'hub_lost' });
    await register('taken', viewer);
    await viewer.removals.remove('removed', { reason: 'removed_by_operator' });
    for (let round = 0; round < 4 * LOG_ENTRIES; round += 1) {
      await registerAgent(viewer, registerMessage({ nodeId: `noise-${round % 8}` }));
    }
    doorStore.fault = 'none';
    await clock.advance(500);
    expect(taken?.link.ended).toMatchObject([{ code: 4409 }]);
    expect(removed?.link.ended).toMatchObject([{ code: 4404 }]);
    expect(kept?.link.ended).toEqual([]);
    expect(kept?.session.record.node).toEqual(shown('kept'));
  });
});
