import { expect, it } from 'vitest';
import type { DashboardEvent } from '../../shared/index.ts';
import { DashboardJudge } from '../../simulate/dashboard-judge.ts';
import { numbersOf } from '../../simulate/profiles/index.ts';
import { steady } from '../../simulate/profiles/steady.ts';
import { Simulation } from '../../simulate/simulation.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { fleetNode } from '../support/fixtures.ts';
import { FakeLink } from './fake-links.ts';

/** Two agents, of which only the first is started; the store's clock is an hour ahead. */
async function setup() {
  const clock = new FakeClock();
  const links: FakeLink[] = [];
  const ending = new AbortController();
  const simulation = new Simulation(
    {
      ...{ hubUrls: ['ws://hub.test'], agents: 2, racks: 1, prefix: 'sim', statsShare: 0, seed: 1 },
      ...{ connectsPerSecond: 1, durationMs: 1e9, localAddresses: [], end: 'goodbye', profile: steady },
      numbers: numbersOf(steady, {}),
    },
    clock,
    (options, listener) => {
      const link = new FakeLink(options, listener);
      links.push(link);
      return link;
    },
  );
  const judge = new DashboardJudge(simulation);
  // It goes no further than its first agent: only what that one knows counts here.
  simulation.run(ending.signal).catch(() => {});
  const storeNow = (agoMs = 0): string => new Date(clock.wallMs() + 3_600_000 - agoMs).toISOString();
  const accept = (): void => {
    const link = links.at(-1);
    link?.listener.opened();
    link?.say({
      ...{ type: 'registered', hubTime: storeNow(), heartbeat: { intervalMs: 10_000, timeoutMs: 30_000 } },
    });
  };
  accept();
  const change = (fields: Partial<DashboardEvent>): void =>
    judge.change({
      ...{ seq: 2, type: 'status', nodeId: 'sim-1', at: storeNow(), from: 'online', to: 'offline' },
      ...{ reason: 'heartbeat_timeout', evidence: {}, node: fleetNode({ id: 'sim-1' }) },
      ...fields,
    });
  return { clock, simulation, judge, accept, change, storeNow };
}

it('[SIM-10] offline within the timeout after the last pong is false, after it is not', async () => {
  const { clock, judge, change } = await setup();
  clock.tick(29_000);
  change({});
  expect(judge.read()).toMatchObject({ changes: 1, falseOffline: 1 });
  clock.tick(1_000);
  change({});
  expect(judge.read().falseOffline).toBe(1);
});

it('[SIM-10] what comes late is judged by its own time', async () => {
  const { clock, simulation, judge, accept, change, storeNow } = await setup();
  simulation.agents[0]?.cut(40_000, undefined);
  clock.tick(40_050);
  accept();
  clock.tick(1_000);
  change({ at: storeNow(5_000) });
  expect(judge.read().falseOffline).toBe(0);
  change({ at: storeNow(500) });
  expect(judge.read().falseOffline).toBe(1);
});

it('[SIM-10] measures from the RST to unreachable, each cut once', async () => {
  const { clock, simulation, judge, change } = await setup();
  simulation.agents[0]?.cut(undefined, undefined);
  clock.tick(12);
  const lost = { to: 'unreachable', reason: 'connection_lost' } as const;
  change(lost);
  change(lost);
  expect(judge.read().unreachable).toMatchObject({ count: 1, max: 12 });
});

it('passes over other nodes, and goodbyes', async () => {
  const { judge, change } = await setup();
  for (const nodeId of ['sim-3', 'sim-0', 'sim-x', 'other-1', 'sim-']) change({ nodeId });
  expect(judge.read()).toMatchObject({ changes: 0, falseOffline: 0 });
  change({ reason: 'agent_stopped' });
  expect(judge.read()).toMatchObject({ changes: 1, falseOffline: 0 });
});
