import { beforeEach, describe, expect, test } from 'vitest';
import { StatsWatch, type StatsWatcher } from '../../server/dashboards/stats-watch.ts';
import type { Fleet } from '../../server/fleet/fleet.ts';
import { silentLog } from '../../server/runtime/log.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import type { LiveStats } from '../../shared/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import {
  registerAgent,
  registerMessage,
  sendStats,
  type TestAgent,
  testFleet,
} from '../support/test-fleet.ts';

class Watcher implements StatsWatcher {
  readonly heard: Array<Record<string, LiveStats>> = [];
  takes = true;
  sendStats(stats: Record<string, LiveStats>): boolean {
    if (this.takes) this.heard.push(stats);
    return this.takes;
  }
  get ids(): string[][] {
    return this.heard.map((stats) => Object.keys(stats).sort());
  }
}

let clock: FakeClock;
let store: FaultyStore;
let fleet: Fleet;
let watch: StatsWatch;
let agents: Map<string, TestAgent>;

beforeEach(async () => {
  clock = new FakeClock();
  store = new FaultyStore(new MemoryStore(new MemoryFleet(clock, 4)));
  fleet = testFleet(store, clock);
  watch = new StatsWatch({ fleet, clock, log: silentLog });
  await fleet.start();
  agents = new Map();
  for (const nodeId of ['a', 'b', 'c', 'constructor']) {
    agents.set(nodeId, await registerAgent(fleet, registerMessage({ nodeId })));
  }
});

async function report(nodeId: string, cpuPercent: number): Promise<void> {
  const agent = agents.get(nodeId);
  if (agent) sendStats(fleet, agent.session, { cpuPercent });
  await fleet.flush();
}

const reads = () => store.calls.get('stats') ?? 0;

describe('watch', () => {
  test('[WATCH-1] one read a second serves every watched node of every dashboard', async () => {
    const [one, two] = [new Watcher(), new Watcher()];
    watch.watch(one, ['a', 'b', 'nobody']);
    await clock.settle();
    expect(one.ids).toEqual([['a', 'b']]);
    watch.watch(two, ['b', 'constructor']);
    await clock.advance(999);
    expect(reads()).toBe(1);
    await clock.advance(1);
    expect(reads()).toBe(2);
    expect(one.ids).toHaveLength(1);
    expect(two.ids).toEqual([['b', 'constructor']]);
    await report('b', 7);
    await report('c', 8);
    await clock.advance(1_000);
    expect([one.ids.at(-1), two.ids.at(-1)]).toEqual([['b'], ['b']]);
    expect(two.heard.at(-1)?.b).toMatchObject({ cpuPercent: 7 });
  });

  test('[WATCH-2] a new watch takes the place of the old; without watchers nothing is read', async () => {
    const watcher = new Watcher();
    watch.watch(watcher, ['a']);
    await clock.settle();
    watch.watch(watcher, ['b']);
    await clock.advance(1_000);
    expect(watcher.ids).toEqual([['a'], ['b']]);
    watch.watch(watcher, []);
    await report('b', 9);
    await clock.advance(10_000);
    expect(watcher.heard).toHaveLength(2);
    expect(reads()).toBe(2);
  });

  test('[WATCH-4] while the store is away nothing comes, and what changed comes when it is back', async () => {
    const watcher = new Watcher();
    watch.watch(watcher, ['a']);
    await clock.settle();
    await report('a', 1);
    store.fault = 'away';
    await clock.advance(3_000);
    expect(watcher.heard).toHaveLength(1);
    store.fault = 'none';
    await clock.advance(1_000);
    expect(watcher.heard.at(-1)?.a).toMatchObject({ cpuPercent: 1 });
  });

  test('[WATCH-5] a dashboard that cannot take more now gets the newest later', async () => {
    const watcher = new Watcher();
    watcher.takes = false;
    watch.watch(watcher, ['a']);
    await clock.settle();
    await report('a', 1);
    await clock.advance(1_000);
    await report('a', 2);
    watcher.takes = true;
    await clock.advance(1_000);
    expect(watcher.heard).toHaveLength(1);
    expect(watcher.heard[0]?.a).toMatchObject({ cpuPercent: 2 });
  });
});
