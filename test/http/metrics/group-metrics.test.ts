import { describe, expect, test } from 'vitest';
import { type Figures, mergeFigures } from '../../../server/http/metrics/group-metrics.ts';
import { HubMetrics } from '../../../server/http/metrics/metrics.ts';
import { systemClock } from '../../../server/runtime/clock.ts';
import { MemoryFleet, MemoryStore } from '../../../server/store/memory/memory-store.ts';
import { meteredStore } from '../../../server/store/metered-store.ts';
import { registerAgent, registerMessage, sendStats, testFleet } from '../../support/test-fleet.ts';

/** What a line of the text says, without its labels' order. */
const figureOf = (text: string, line: string): number | undefined => {
  const found = text.split('\n').find((each) => each.startsWith(`${line} `));
  return found === undefined ? undefined : Number(found.slice(line.length));
};

/** Two hubs on one store, each with figures of its own, as workers of a group have. */
async function twoHubs() {
  const memory = new MemoryFleet(systemClock, 2);
  const hubs = [];
  for (const name of ['one', 'two']) {
    const metrics = new HubMetrics(systemClock);
    const fleet = testFleet(meteredStore(new MemoryStore(memory), metrics), systemClock, name);
    metrics.watch({ fleet, agents: { size: 1 }, dashboards: { size: 0, unreadBytes: 0 } });
    await fleet.start();
    hubs.push({ metrics, fleet });
  }
  return hubs;
}

describe('[GROUP-5] the figures of several workers as one', () => {
  test('what is the same on every hub is told once, what is its own is added up', async () => {
    const hubs = await twoHubs();
    for (const [index, { fleet }] of hubs.entries()) {
      const { session } = await registerAgent(fleet, registerMessage({ nodeId: `n-${index}` }));
      sendStats(fleet, session, { cpuPercent: index });
      await fleet.flush();
    }
    await Promise.all(hubs.map(({ fleet }) => fleet.membership.holders()));
    const text = await mergeFigures(await Promise.all(hubs.map(({ metrics }) => metrics.figures())));
    await Promise.all(hubs.map(({ fleet }) => fleet.stop()));
    expect(figureOf(text, 'rollcall_nodes{status="online"}')).toBe(2);
    expect(figureOf(text, 'rollcall_sessions')).toBe(2);
    expect(figureOf(text, 'rollcall_agents_connected')).toBe(2);
    expect(figureOf(text, 'rollcall_heartbeats_total{kind="stats"}')).toBe(2);
    expect(figureOf(text, 'rollcall_flush_heartbeats_count')).toBe(2);
    expect(figureOf(text, 'rollcall_flush_heartbeats_bucket{le="1"}')).toBe(2);
    expect(figureOf(text, 'rollcall_store_live')).toBe(1);
    expect(figureOf(text, 'rollcall_workers{state="wanted"}')).toBe(1);
    expect(figureOf(text, 'process_resident_memory_bytes')).toBeGreaterThan(2 * 10_000_000);
    expect(text).not.toMatch(/^process_start_time_seconds /m);
    expect(text).toMatch(/^# TYPE rollcall_store_duration_seconds histogram$/m);
  });

  test('the worst worker is told where one that is well would hide it', async () => {
    const figures = (name: string, value: number, aggregator = 'average'): Figures => [
      { name, help: 'h', type: 'gauge', aggregator, values: [{ value, labels: {} }] },
    ];
    for (const name of ['nodejs_eventloop_lag_p99_seconds', 'nodejs_eventloop_lag_seconds']) {
      const merged = await mergeFigures([figures(name, 0.01), figures(name, 3), figures(name, 0.02)]);
      expect(figureOf(merged, name)).toBe(3);
    }
    const [one, two] = await twoHubs();
    const all = [...(await (one?.metrics.figures() ?? [])), ...(await (two?.metrics.figures() ?? []))];
    await Promise.all([one?.fleet.stop(), two?.fleet.stop()]);
    const aggregators = new Map(all.map(({ name, aggregator }) => [name, aggregator]));
    expect(aggregators.get('rollcall_store_live')).toBe('min');
    expect(aggregators.get('rollcall_tick_lag_seconds')).toBe('max');
    expect(aggregators.get('rollcall_last_tick_timestamp_seconds')).toBe('min');
  });
});
