import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Fleet } from '../../server/fleet/fleet.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import type { FleetEvent } from '../../shared/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { registerAgent, registerMessage, testFleet } from '../support/test-fleet.ts';

const TIMING = { intervalMs: 1_000, timeoutMs: 3_000 };
const ONE_WAY_MS = 200;

let clock: FakeClock;
let memory: MemoryFleet;
let fleets: Fleet[];
let events: Array<{ at: number; event: FleetEvent }>;

beforeEach(() => {
  clock = new FakeClock();
  memory = new MemoryFleet(clock, 4);
  fleets = [];
  events = [];
});

afterEach(() => passing(Promise.all(fleets.map((fleet) => fleet.stop()))));

/** Lets time pass until something is done. */
async function passing<T>(work: Promise<T>): Promise<T> {
  let done = false;
  const ended = work.finally(() => {
    done = true;
  });
  ended.catch(() => {});
  while (!done) await clock.advance(10);
  return ended;
}

/** A hub whose store is far away, and its events as a dashboard there is told of them. */
async function farHub(hubId: string): Promise<Fleet> {
  const store = new FaultyStore(new MemoryStore(memory));
  store.oneWay = () => new Promise((resolve) => void clock.after(ONE_WAY_MS, resolve));
  const fleet = testFleet(store, clock, hubId, TIMING);
  fleets.push(fleet);
  await passing(fleet.start());
  return fleet;
}

/** Some beat for half a minute and one does not; when the silent one was shown so. */
async function silentFor(fleet: Fleet, dashboard: Fleet): Promise<number> {
  const silent = await passing(registerAgent(fleet, registerMessage({ nodeId: 'silent' })));
  const live = await passing(registerAgent(fleet, registerMessage({ nodeId: 'live' })));
  for (let beat = 0; beat < 5; beat += 1) {
    await clock.advance(1_000);
    fleet.heartbeat(silent.session);
    fleet.heartbeat(live.session);
  }
  dashboard.view.listen({
    changed: ({ event }) => void events.push({ at: clock.now(), event }),
    reloaded: () => {},
  });
  const began = clock.now();
  for (let beat = 0; beat < 30; beat += 1) {
    await clock.advance(1_000);
    fleet.heartbeat(live.session);
  }
  expect(events.map(({ event }) => [event.nodeId, event.to])).toEqual([['silent', 'offline']]);
  return (events[0]?.at ?? 0) - began;
}

it('[LINK-3] the hub of one who fell silent says so after the timeout and three round trips', async () => {
  const fleet = await farHub('hub-a');
  const tookMs = await silentFor(fleet, fleet);
  expect(tookMs).toBeGreaterThanOrEqual(TIMING.timeoutMs + 6 * ONE_WAY_MS);
  // And what waits for the next turn of its timers, at each of them.
  expect(tookMs).toBeLessThanOrEqual(TIMING.timeoutMs + 6 * ONE_WAY_MS + 350);
});

it('[LINK-3] so it is shown on another hub', async () => {
  const fleet = await farHub('hub-a');
  const other = await farHub('hub-b');
  expect(await silentFor(fleet, other)).toBeLessThanOrEqual(TIMING.timeoutMs + 6 * ONE_WAY_MS + 350);
});
