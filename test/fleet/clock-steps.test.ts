import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Fleet } from '../../server/fleet/fleet.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import type { FleetEvent } from '../../shared/index.ts';
import { FAKE_START, FakeClock } from '../support/fake-clock.ts';
import { registerAgent, registerMessage, type TestAgent, testFleet } from '../support/test-fleet.ts';

const HOUR_MS = 3_600_000;

describe("the clock of the hub's machine is set, with the store in memory", () => {
  let clock: FakeClock;
  let fleet: Fleet;
  let events: FleetEvent[];

  beforeEach(async () => {
    clock = new FakeClock();
    fleet = testFleet(new MemoryStore(new MemoryFleet(clock, 4)), clock);
    await fleet.start();
    events = [];
    fleet.view.listen({ changed: ({ event }) => void events.push(event), reloaded: () => {} });
  });
  afterEach(async () => {
    const stopped = fleet.stop();
    await clock.advance(1);
    await stopped;
  });

  async function register(nodeId: string): Promise<TestAgent> {
    const registered = registerAgent(fleet, registerMessage({ nodeId }));
    await clock.settle();
    return registered;
  }

  async function beating(agents: readonly TestAgent[], ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 10_000) {
      for (const { session } of agents) fleet.heartbeat(session);
      await clock.advance(10_000);
    }
  }

  const status = (id: string) => fleet.view.get(id)?.node.status;
  const changes = () =>
    events
      .filter(({ type }) => type === 'status')
      .map(({ nodeId, to }) => `${nodeId} ${to}`)
      .toSorted();

  it.each([60_000, -60_000, 2 * HOUR_MS, -2 * HOUR_MS])(
    '[CLK-3] by %i ms: no timing changes, and dates are those of the clock as it is now',
    async (stepMs) => {
      const [live, lost, closed] = [await register('live'), await register('lost'), await register('closed')];
      await beating([live, lost, closed], 20_000);
      const closing = fleet.closed(closed.session, { goodbye: false, code: 1006 });
      await clock.settle();
      await closing;
      expect(status('closed')).toBe('unreachable');

      clock.step(stepMs);
      await beating([live], 10_000);
      expect(changes()).toEqual(['closed unreachable']);
      await beating([live], 20_000);
      expect(changes()).toEqual(['closed offline', 'closed unreachable', 'lost offline']);
      const offline = events.find(({ nodeId, to }) => nodeId === 'lost' && to === 'offline');
      const since = FAKE_START + 40_000 + stepMs;
      expect(Math.abs(Date.parse(offline?.at ?? '') - since)).toBeLessThan(1_000);
      expect(Math.abs(Date.parse(offline?.evidence.lastHeartbeatAt ?? '') - (since - 30_000))).toBeLessThan(
        1_000,
      );

      fleet.heartbeat(lost.session);
      await clock.advance(1_000);
      expect(status('lost')).toBe('online');
      expect(Date.parse(fleet.datedState().now ?? '')).toBe(clock.wall());
    },
  );

  it('[CLK-3] a status from the future, dated before the clock was put right, ends with the next heartbeat', async () => {
    clock.step(2 * HOUR_MS);
    const agent = await register('a');
    await clock.advance(31_000);
    expect(status('a')).toBe('offline');
    clock.step(-2 * HOUR_MS);
    fleet.heartbeat(agent.session);
    await clock.advance(1_000);
    expect(status('a')).toBe('online');
    expect(fleet.view.get('a')?.node.statusSince).toBe(events.at(-1)?.at);
    expect(Math.abs(Date.parse(events.at(-1)?.at ?? '') - clock.wall())).toBeLessThan(1_500);
  });
});
