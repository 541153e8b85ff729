import { describe, expect, it } from 'vitest';
import type { Fleet } from '../../server/fleet/fleet.ts';
import { NoView } from '../../server/picture/no-view.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { registerAgent, registerMessage, testFleet } from '../support/test-fleet.ts';

const lost = { goodbye: false, code: 1006 } as const;
const goodbye = { goodbye: true, code: 1000 } as const;

async function twoHubs({ withView = true } = {}) {
  const clock = new FakeClock();
  const memory = new MemoryFleet(clock, 2);
  const view = withView ? {} : { view: new NoView(clock, 2) };
  const frozen = testFleet(new MemoryStore(memory), clock, 'hub-a', undefined, view);
  const other = testFleet(new MemoryStore(memory), clock, 'hub-b');
  await frozen.start();
  await other.start();
  const statuses: Array<string | null> = [];
  other.view.listen({ changed: ({ event }) => void statuses.push(event.to), reloaded: () => {} });
  return { clock, frozen, other, statuses };
}

const status = async (fleet: Fleet, id: string) => (await fleet.node(id))?.status;

describe('closes of the time in which a hub stood still', () => {
  it.each([
    ['with a view', true],
    ['without a view', false],
  ])('[FRZ-1] an agent that is back on the same hub, %s, never changed', async (_name, withView) => {
    const { clock, frozen, other, statuses } = await twoHubs({ withView });
    const message = registerMessage({ nodeId: 'n' });
    const { session } = await registerAgent(frozen, message);
    await clock.advance(500);
    clock.jump(25_000);
    await frozen.closed(session, lost);
    await clock.advance(3_000);
    const again = await registerAgent(frozen, message);
    for (let passed = 0; passed < 60_000; passed += 10_000) {
      frozen.heartbeat(again.session);
      await clock.advance(10_000);
    }
    expect(await status(other, 'n')).toBe('online');
    expect(new Set(statuses)).toEqual(new Set(['online']));
  });

  it.each([
    ['with a view', true],
    ['without a view', false],
  ])('[FRZ-1] so one that is back on another hub, %s', async (_name, withView) => {
    const { clock, frozen, other, statuses } = await twoHubs({ withView });
    const message = registerMessage({ nodeId: 'n' });
    const { session } = await registerAgent(frozen, message);
    await clock.advance(500);
    clock.jump(25_000);
    await frozen.closed(session, lost);
    await clock.advance(3_000);
    const again = await registerAgent(other, message);
    for (let passed = 0; passed < 60_000; passed += 10_000) {
      other.heartbeat(again.session);
      await clock.advance(10_000);
    }
    expect(new Set(statuses)).toEqual(new Set(['online']));
  });

  it('[FRZ-1] one that does not return is unreachable half its timeout after the hub woke up', async () => {
    const { clock, frozen, other } = await twoHubs();
    const { session } = await registerAgent(frozen, registerMessage({ nodeId: 'n' }));
    clock.jump(10_000);
    await frozen.closed(session, lost);
    await clock.advance(14_000);
    expect(await status(other, 'n')).toBe('online');
    await clock.advance(2_000);
    expect(await other.node('n')).toMatchObject({
      status: 'unreachable',
      reason: 'connection_lost',
      evidence: { closeCode: 1006 },
    });
  });

  it('[FRZ-1] until then the other hubs do not call it silent either, though its heartbeat would have ended', async () => {
    const [clock, frozenClock] = [new FakeClock(), new FakeClock()];
    const memory = new MemoryFleet(clock, 2);
    const frozen = testFleet(new MemoryStore(memory), frozenClock, 'hub-a');
    const other = testFleet(new MemoryStore(memory), clock, 'hub-b');
    await frozen.start();
    await other.start();
    const pass = async (ms: number) => {
      for (let passed = 0; passed < ms; passed += 100) {
        await clock.advance(100);
        await frozenClock.advance(100);
      }
    };
    const { session } = await registerAgent(frozen, registerMessage({ nodeId: 'n' }));
    const gone = await registerAgent(frozen, registerMessage({ nodeId: 'gone' }));
    await pass(500);
    await clock.advance(25_000);
    frozenClock.jump(25_000);
    for (const closed of [session, gone.session]) await frozen.closed(closed, lost);
    await pass(12_000);
    await registerAgent(frozen, registerMessage({ nodeId: 'n' }));
    await pass(6_000);
    const changes = async (id: string) =>
      (await other.history({ id, limit: 10 })).map(({ to }) => to).reverse();
    expect(await changes('n')).toEqual(['online', 'online']);
    expect(await changes('gone')).toEqual(['online', 'unreachable', 'offline']);
  });

  it('[FRZ-1] one with a short timeout does not wait for one with a long timeout', async () => {
    const { clock, frozen, other } = await twoHubs();
    const patient = registerMessage({ nodeId: 'patient' });
    const long = await registerAgent(frozen, { ...patient, heartbeat: { intervalMs: 200_000 } });
    const { session } = await registerAgent(frozen, registerMessage({ nodeId: 'n' }));
    clock.jump(10_000);
    await frozen.closed(long.session, lost);
    await frozen.closed(session, lost);
    await clock.advance(16_000);
    expect(await status(other, 'n')).toBe('unreachable');
    expect(await status(other, 'patient')).toBe('online');
    await clock.advance(300_000);
    expect(await status(other, 'patient')).toBe('unreachable');
  });

  it('[FRZ-1] a goodbye is told at once', async () => {
    const { clock, frozen, other } = await twoHubs();
    const { session } = await registerAgent(frozen, registerMessage({ nodeId: 'n' }));
    clock.jump(10_000);
    await frozen.closed(session, goodbye);
    await clock.advance(1_000);
    expect(await other.node('n')).toMatchObject({ status: 'offline', reason: 'agent_stopped' });
  });

  it('[FRZ-1] later closes are told at once again', async () => {
    const { clock, frozen, other } = await twoHubs();
    const { session } = await registerAgent(frozen, registerMessage({ nodeId: 'n' }));
    clock.jump(10_000);
    for (let passed = 0; passed < 16_000; passed += 4_000) {
      frozen.heartbeat(session);
      await clock.advance(4_000);
    }
    await frozen.closed(session, lost);
    await clock.advance(200);
    expect(await status(other, 'n')).toBe('unreachable');
  });
});
