import { afterEach, expect, test } from 'vitest';
import type { AgentClient } from '../support/agent-client.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { TestHubs } from '../support/test-hub.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

const settings = {
  ...{ HEARTBEAT_INTERVAL: '1s', HEARTBEAT_TIMEOUT: '3s' },
  ...{ MAX_HEARTBEATS_PER_SECOND: '1', HEARTBEAT_INTERVAL_MAX: '4s' },
};

/** Lets time pass while these agents beat every half second. */
async function beating(clock: FakeClock, agents: readonly AgentClient[], ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 500) {
    await clock.advance(500);
    await Promise.all(agents.map((agent) => agent.ping()));
  }
}

test('[PACE-3] agents are told over their sockets, and cut by the timeout that they were told', async () => {
  const clock = new FakeClock();
  const hub = await hubs.start({ clock, settings });
  const agents = [await hub.agent({ nodeId: 'a' }), await hub.agent({ nodeId: 'b' })];
  await beating(clock, agents, 5_000);
  for (const agent of agents) {
    expect(await agent.next()).toEqual({ type: 'heartbeat', intervalMs: 2_000, timeoutMs: 6_000 });
    expect(agent.unread).toEqual([]);
  }
  expect((await hub.stored('a'))?.heartbeat).toEqual({ intervalMs: 2_000, timeoutMs: 6_000 });
  expect(await hub.events('a')).toHaveLength(1);
  expect(hub.logged('The heartbeat interval changed')).toMatchObject([
    { fields: { intervalMs: 2_000, timeoutMs: 6_000, sessions: 2 } },
  ]);
  // Silent sockets are cut after two timeouts, 12 s.
  const [silent, other] = agents;
  if (!silent || !other) throw new Error('two agents were started');
  await beating(clock, [other], 11_500);
  expect(silent.open).toBe(true);
  await beating(clock, [other], 1_500);
  expect((await silent.closed).code).toBe(1006);
});

test('[PACE-4] [PACE-11] an acknowledged shorter interval counts at once, and is not answered', async () => {
  const clock = new FakeClock();
  const hub = await hubs.start({ clock, settings });
  const early = await hub.connect();
  early.send({ type: 'heartbeat_set', intervalMs: 1_000 });
  expect(await early.next()).toMatchObject({ type: 'error', code: 'not_registered' });
  early.socket.terminate();
  await early.closed;
  const agent = await hub.agent({ nodeId: 'a' }, { features: ['heartbeat_set'] });
  const others = [await hub.agent({ nodeId: 'b' })];
  await beating(clock, [agent, ...others], 5_000);
  expect(await agent.next()).toEqual({ type: 'heartbeat', intervalMs: 2_000, timeoutMs: 6_000 });
  agent.send({ type: 'heartbeat_set', intervalMs: 2_000 });
  for (const other of others) other.socket.terminate();
  for (let passed = 0; passed < 30_000 && agent.unread.length === 0; passed += 1_000)
    await beating(clock, [agent], 1_000);
  expect(await agent.next()).toEqual({ type: 'heartbeat', intervalMs: 1_300, timeoutMs: 3_900 });
  expect((await hub.stored('a'))?.heartbeat.timeoutMs).toBe(6_000);
  agent.send({ type: 'heartbeat_set', intervalMs: 1_300 });
  await beating(clock, [agent], 1_000);
  expect((await hub.stored('a'))?.heartbeat).toEqual({ intervalMs: 1_300, timeoutMs: 3_900 });
  agent.send({ type: 'heartbeat_set', intervalMs: 1.5 });
  expect(await agent.next()).toMatchObject({ type: 'error', code: 'invalid', path: 'intervalMs' });
  expect(agent.unread).toEqual([]);
});

test('[PACE-1] a fleet that is too large even for the longest interval is warned of, once', async () => {
  const clock = new FakeClock();
  const hub = await hubs.start({ clock, settings: { ...settings, HEARTBEAT_INTERVAL_MAX: '1500ms' } });
  const agents = [await hub.agent({ nodeId: 'a' }), await hub.agent({ nodeId: 'b' })];
  await beating(clock, agents, 4_000);
  expect(hub.logged('The fleet is too large for MAX_HEARTBEATS_PER_SECOND')).toMatchObject([
    { level: 'warn', fields: { sessions: 2 } },
  ]);
});
