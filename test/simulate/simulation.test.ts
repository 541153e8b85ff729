import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../agent/session/clock.ts';
import { FleetClient, SUMMARIES } from '../../client/index.ts';
import { DashboardJudge } from '../../simulate/dashboard-judge.ts';
import { numbersOf, PROFILES } from '../../simulate/profiles/index.ts';
import type { ProfileNumbers } from '../../simulate/profiles/profile.ts';
import { HubOutOfReachError, Simulation, type SimulationOptions } from '../../simulate/simulation.ts';
import { summarize } from '../../simulate/summary.ts';
import { type TestHub, TestHubs } from '../support/test-hub.ts';
import { until } from '../support/until.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

/** Long enough that no slowness of this machine is taken for a missing pong. */
const startHub = (settings: Record<string, string> = {}): Promise<TestHub> =>
  hubs.start({ settings: { HEARTBEAT_INTERVAL: '5s', HEARTBEAT_TIMEOUT: '30s', ...settings } });

function simulate(
  hub: TestHub,
  name: string,
  {
    numbers = {},
    ...options
  }: Partial<Omit<SimulationOptions, 'numbers'>> & {
    numbers?: Partial<ProfileNumbers>;
  } = {},
): Simulation {
  const profile = PROFILES.get(name);
  if (!profile) throw new Error(name);
  return new Simulation(
    {
      ...{ hubUrls: [hub.agentUrl], agents: 30, racks: 3, prefix: 'sim', statsShare: 1 },
      ...{ connectsPerSecond: 1_000, durationMs: 300, seed: 1, localAddresses: [], profile, end: 'goodbye' },
      ...options,
      numbers: numbersOf(profile, numbers),
    },
    systemClock,
  );
}

const never = new AbortController().signal;
const nodesOf = (hub: TestHub) => hub.hub.fleet.view.find({});

describe('a simulation on a real hub', () => {
  it('[SIM-7] registers all, beats, and says goodbye: the nodes stay, offline', async () => {
    const hub = await startHub({ HEARTBEAT_INTERVAL: '500ms' });
    const simulation = simulate(hub, 'steady', { durationMs: 600 });
    await simulation.run(never);
    const summary = summarize(simulation);
    expect(summary).toMatchObject({ registeredAtEnd: 30, registrations: 30, drops: {}, failures: {} });
    expect(summary.beats.answered).toBeGreaterThanOrEqual(30);
    expect(summary.heartbeat).toEqual({ intervalMs: 500, timeoutMs: 30_000 });
    const nodes = await until('all nodes are offline', async () => {
      const found = await nodesOf(hub);
      return found.every(({ status }) => status === 'offline') && found;
    });
    expect(nodes).toHaveLength(30);
    expect(new Set(nodes.map(({ reason }) => reason))).toEqual(new Set(['agent_stopped']));
    expect(new Set(nodes.map(({ labels }) => labels.rack))).toEqual(new Set(['rack-1', 'rack-2', 'rack-3']));
  });

  it('[SIM-7] removes its nodes where that was asked for', async () => {
    const hub = await startHub();
    const simulation = simulate(hub, 'steady', { end: 'deregister', durationMs: 0 });
    await simulation.run(never);
    expect(summarize(simulation).wrong).toEqual([]);
    await until('no node is left', async () => (await nodesOf(hub)).length === 0);
  });

  it('[SIM-10] a lost rack is unreachable on the dashboard, and back; nobody is falsely offline', async () => {
    const hub = await startHub();
    const simulation = simulate(hub, 'rack-loss', {
      durationMs: 700,
      numbers: { everyMs: 500, awayMs: 100 },
    });
    const judge = new DashboardJudge(simulation);
    const filter = { labels: { simulation: 'sim' } };
    const client = new FleetClient({ hubUrl: hub.url, nodes: SUMMARIES, filter });
    client.on('change', ({ event }) => judge.change(event));
    client.start();
    await until('the dashboard has its picture', () => client.state.kind === 'live');
    await simulation.run(never);
    client.stop();
    const summary = summarize(simulation, judge.read());
    expect(summary.wrong).toEqual([]);
    expect(summary.disruptions).toEqual([
      expect.objectContaining({ what: 'rack-1 cut off', agents: 10, allMs: expect.any(Number) }),
    ]);
    expect(summary).toMatchObject({ cuts: 10, reconnects: 10, registeredAtEnd: 30 });
    expect(summary.dashboard).toMatchObject({ falseOffline: 0, unreachable: { count: 10 } });
    const events = await hub.events('sim-1');
    expect(events.map(({ reason }) => reason)).toEqual([
      ...['registered', 'connection_lost', 'reconnected', 'agent_stopped'],
    ]);
  });

  it('[SIM-6] a slow network is slow, and loses nothing', async () => {
    const hub = await startHub({ HEARTBEAT_INTERVAL: '2s' });
    const simulation = simulate(hub, 'slow-network', {
      agents: 10,
      durationMs: 2_100,
      numbers: { latencyMs: 50, jitterMs: 10 },
    });
    await simulation.run(never);
    const { beats, pong, drops, failures } = summarize(simulation);
    expect({ missed: beats.missed, drops, failures }).toEqual({ missed: 0, drops: {}, failures: {} });
    expect(beats.answered).toBeGreaterThan(0);
    expect(pong.p50).toBeGreaterThanOrEqual(100);
  });

  it('[SIM-8] a second simulation with the same prefix shows in the verdict of the first', async () => {
    const hub = await startHub();
    const first = simulate(hub, 'steady', { agents: 3, durationMs: 60_000 });
    const ending = new AbortController();
    const running = first.run(ending.signal);
    await until('the first is there', () => first.tally.registered === 3);
    await simulate(hub, 'steady', { agents: 3, durationMs: 0 }).run(never);
    ending.abort();
    await running;
    expect(summarize(first)).toMatchObject({
      drops: { 4409: 3 },
      wrong: ['3 sessions were lost with 4409: another agent has the same id: is this prefix in use twice?'],
    });
  });

  it('[SIM-4] connects one agent, and no other where the hub refuses it', async () => {
    const hub = await startHub({ AGENT_TOKENS: 'right-token', DASHBOARD_TOKENS: 'other-token' });
    const wrong = simulate(hub, 'steady', { token: 'wrong-token' });
    await expect(wrong.run(never)).rejects.toThrow(
      new HubOutOfReachError(`${hub.agentUrl} lets no agent in: the hub answered HTTP 401`),
    );
    expect(wrong.tally.refusals.toJSON()).toEqual({ 'HTTP 401': 1 });
    const right = simulate(hub, 'steady', { token: 'right-token', durationMs: 0 });
    await right.run(never);
    expect(summarize(right).wrong).toEqual([]);
  });

  it('[SIM-9] ends at once when it is told to, in order', async () => {
    const hub = await startHub();
    const simulation = simulate(hub, 'steady', { durationMs: 3_600_000, connectsPerSecond: 20 });
    const ending = new AbortController();
    const running = simulation.run(ending.signal);
    await until('some are there', () => simulation.tally.registered >= 3);
    ending.abort();
    await running;
    expect(summarize(simulation)).toMatchObject({ interrupted: true, wrong: [] });
    await until('all have said goodbye', async () =>
      (await nodesOf(hub)).every(({ reason }) => reason === 'agent_stopped'),
    );
  });
});
