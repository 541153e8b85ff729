import { setTimeout as passes } from 'node:timers/promises';
import { describe, expect, it, type TestContext, vi } from 'vitest';
import { budget } from '../support/budget.ts';
import type { HubProcess } from '../support/hub-process.ts';
import { Program } from '../support/program.ts';
import { type RedisServerOptions, startRedis } from '../support/redis-server.ts';
import { SteppedClock } from '../support/stepped-clock.ts';
import { until } from '../support/until.ts';
import { type Dashboard, FAST_TIMEOUT_MS, FleetUnderTest } from './fleet-under-test.ts';

/** Longer than any node may be silent. */
const LONGER_MS = FAST_TIMEOUT_MS + budget(1_000);

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** Dates are told apart by this: far more than a test takes between two looks, far less than a step. */
const ABOUT_MS = MINUTE_MS / 2;

vi.setConfig({ testTimeout: budget(180_000) });

const steps = [
  ['a minute forwards', MINUTE_MS],
  ['a minute back', -MINUTE_MS],
  ['two hours forwards', 2 * HOUR_MS],
  ['two hours back', -2 * HOUR_MS],
] as const;

type Ended = TestContext['onTestFinished'];

async function start(ended: Ended, redisOptions: RedisServerOptions = {}) {
  const redis = await startRedis(redisOptions);
  ended(() => redis.stop());
  const fleet = new FleetUnderTest();
  ended(() => fleet.end());
  return { redis, fleet, settings: { REDIS_URL: redis.url, SHARDS: '4' } };
}

/** A real agent in a process of its own. */
function agentProcess(ended: Ended, id: string, { agentUrl }: HubProcess, env: SteppedClock['env'] = {}) {
  const agent = new Program(['agent'], { HUB_URL: agentUrl, NODE_ID: id, ...env });
  ended(async () => {
    agent.child.kill('SIGKILL');
    await agent.exit;
  });
  return agent;
}

/** Every change of status of these nodes that the dashboard was told. */
function changesOf(dashboard: Dashboard, ids: readonly string[]): string[] {
  return dashboard.events
    .filter(({ nodeId, type }) => ids.includes(nodeId) && type === 'status')
    .map(({ nodeId, to, reason }) => `${nodeId} ${to} ${reason}`);
}

async function untilStatus(dashboard: Dashboard, id: string, status: string): Promise<void> {
  await until(`${id} is ${status}`, () => dashboard.status(id) === status);
}

/** How far the newest change of the node is dated ahead of this machine's clock, milliseconds. */
function datedAhead(dashboard: Dashboard, id: string): number {
  const at = dashboard.events.findLast(({ nodeId }) => nodeId === id)?.at ?? '';
  return Date.parse(at) - Date.now();
}

describe.concurrent('the clock of Redis is set', () => {
  it('[CLK-6] by more than a tombstone lasts: a removed node continues at its version', async ({
    onTestFinished,
  }) => {
    const clock = new SteppedClock();
    const { fleet, settings } = await start(onTestFinished, { env: clock.env });
    const hub = await fleet.hub(settings);
    const agent = await fleet.agent('removed', hub.agentUrl);
    await agent.deregister();
    const dashboard = await fleet.dashboard(hub);
    clock.wall(25 * HOUR_MS);
    await passes(LONGER_MS);
    await fleet.agent('removed', hub.agentUrl);
    await until('it is there again', () => dashboard.status('removed') === 'online');
    expect(dashboard.events.at(-1)).toMatchObject({ type: 'registered', seq: 3 });
  });

  it.for(steps)(
    '[CLK-2] %s: nobody changes, and who falls silent is called so',
    async ([, stepMs], { onTestFinished }) => {
      const clock = new SteppedClock();
      const { fleet, settings } = await start(onTestFinished, { env: clock.env });
      const [first, second] = await Promise.all([fleet.hub(settings), fleet.hub(settings)]);
      const ids = Array.from({ length: 36 }, (_, n) => `n-${n}`);
      await Promise.all(ids.map((id, n) => fleet.agent(id, (n % 2 ? first : second).agentUrl)));
      const gone = agentProcess(onTestFinished, 'gone', first);
      const killed = agentProcess(onTestFinished, 'killed', first);
      const frozen = agentProcess(onTestFinished, 'frozen', second);
      const dashboard = await fleet.dashboard(second);
      for (const id of ['gone', 'killed', 'frozen']) await untilStatus(dashboard, id, 'online');
      await passes(1_000);
      gone.child.kill('SIGKILL');
      await untilStatus(dashboard, 'gone', 'unreachable');

      clock.wall(stepMs);
      await untilStatus(dashboard, 'gone', 'offline');
      await passes(LONGER_MS);
      expect(changesOf(dashboard, [...ids, 'killed', 'frozen'])).toEqual([]);
      expect(dashboard.states).toEqual(['live']);

      killed.child.kill('SIGKILL');
      frozen.child.kill('SIGSTOP');
      await untilStatus(dashboard, 'killed', 'unreachable');
      expect(Math.abs(datedAhead(dashboard, 'killed') - stepMs)).toBeLessThan(ABOUT_MS);
      await untilStatus(dashboard, 'killed', 'offline');
      await untilStatus(dashboard, 'frozen', 'offline');
      expect(Math.abs(datedAhead(dashboard, 'frozen') - stepMs)).toBeLessThan(ABOUT_MS);
      frozen.child.kill('SIGCONT');
      await untilStatus(dashboard, 'frozen', 'online');
      expect(changesOf(dashboard, ids)).toEqual([]);
      await fleet.expectTrue(dashboard, first);
    },
  );
});

describe.concurrent('the clocks of a hub and of an agent are set', () => {
  it('[CLK-3] [CLK-1] forwards and back: nobody changes, nothing is cut, and dates are those of Redis', async ({
    onTestFinished,
  }) => {
    const [ofHub, ofAgent] = [new SteppedClock(), new SteppedClock()];
    const { fleet, settings } = await start(onTestFinished);
    const [first, second] = await Promise.all([
      fleet.hub({ ...settings, ...ofHub.env }),
      fleet.hub(settings),
    ]);
    const ids = Array.from({ length: 10 }, (_, n) => `n-${n}`);
    await Promise.all(ids.map((id, n) => fleet.agent(id, (n % 2 ? first : second).agentUrl)));
    const stepped = agentProcess(onTestFinished, 'stepped', first, ofAgent.env);
    const frozen = agentProcess(onTestFinished, 'frozen', first);
    const dashboard = await fleet.dashboard(second);
    for (const id of ['stepped', 'frozen']) await untilStatus(dashboard, id, 'online');
    for (const [, stepMs] of steps) {
      ofHub.wall(stepMs);
      ofAgent.wall(stepMs);
      await passes(FAST_TIMEOUT_MS / 2);
    }
    await passes(LONGER_MS);
    expect(changesOf(dashboard, [...ids, 'stepped', 'frozen'])).toEqual([]);
    expect(stepped.stdout).not.toMatch(/slept|Re-registered/);
    frozen.child.kill('SIGSTOP');
    await untilStatus(dashboard, 'frozen', 'offline');
    expect(Math.abs(datedAhead(dashboard, 'frozen'))).toBeLessThan(ABOUT_MS);
    frozen.child.kill('SIGCONT');
    await fleet.expectTrue(dashboard, first);
  });

  it.for([HOUR_MS, -HOUR_MS])(
    '[CLK-4] a server whose clock is %i ms ahead takes over: nobody changes, and who falls silent is called so',
    async (aheadMs, { onTestFinished }) => {
      const clock = new SteppedClock(aheadMs);
      const { redis, fleet } = await start(onTestFinished);
      const replica = await startRedis({ replicaOf: redis, env: clock.env });
      onTestFinished(() => replica.stop());
      const sentinel = await startRedis({ sentinelOf: redis });
      onTestFinished(() => sentinel.stop());
      await until('the Sentinel knows the replica', async () =>
        (await sentinel.cli('SENTINEL', 'replicas', 'mymaster')).includes(String(replica.port)),
      );
      const settings = { REDIS_URL: `redis+sentinel://127.0.0.1:${sentinel.port}/mymaster`, SHARDS: '4' };
      const [first, second] = await Promise.all([fleet.hub(settings), fleet.hub(settings)]);
      const ids = Array.from({ length: 10 }, (_, n) => `n-${n}`);
      await Promise.all(ids.map((id, n) => fleet.agent(id, (n % 2 ? first : second).agentUrl)));
      const gone = agentProcess(onTestFinished, 'gone', first);
      const killed = agentProcess(onTestFinished, 'killed', first);
      const dashboard = await fleet.dashboard(second);
      for (const id of ['gone', 'killed']) await untilStatus(dashboard, id, 'online');
      await passes(1_000);
      gone.child.kill('SIGKILL');
      await untilStatus(dashboard, 'gone', 'unreachable');
      await redis.kill();
      await until(
        'the hubs are back',
        () => dashboard.states.at(-1) === 'live' && dashboard.states.length > 1,
      );
      await untilStatus(dashboard, 'gone', 'offline');
      await passes(LONGER_MS);
      expect(changesOf(dashboard, [...ids, 'killed'])).toEqual([]);
      killed.child.kill('SIGKILL');
      await untilStatus(dashboard, 'killed', 'offline');
      expect(Math.abs(datedAhead(dashboard, 'killed') - aheadMs)).toBeLessThan(ABOUT_MS);
      await fleet.expectTrue(dashboard, first);
    },
  );
});
