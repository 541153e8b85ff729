import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { LIMITS } from '../../shared/index.ts';
import { TestHubs } from '../support/test-hub.ts';
import { until } from '../support/until.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

describe('registering over a socket', () => {
  test('[REG-8] the answer carries the whole node, its timing and a session that nobody else sees', async () => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    const answer = await agent.register({
      hostname: 'rack-1.example',
      kind: 'gpu',
      labels: { zone: 'a' },
      capabilities: { gpus: [{ memoryMib: 81_920 }] },
    });
    expect(answer).toMatchObject({
      reregistered: false,
      heartbeat: { intervalMs: 10_000, timeoutMs: 30_000 },
      createdAt: answer.node.createdAt,
      nodeId: answer.node.id,
      node: { hostname: 'rack-1.example', kind: 'gpu', seq: 1, status: 'online', reason: 'registered' },
    });
    const shown = await (await hub.fetch(`/api/v1/nodes/${answer.nodeId}`)).text();
    expect(JSON.parse(shown)).toMatchObject(answer.node);
    expect(shown).not.toContain(answer.session);
    expect(await (await hub.fetch('/api/v1/nodes')).text()).not.toContain(answer.session);
  });

  test('[REG-9] a second register that names another node is refused, and the session goes on', async () => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1' });
    expect(await agent.ask({ nodeId: 'n-2', hostname: 'n-2' })).toEqual({
      type: 'error',
      code: 'identity_changed',
      message: expect.any(String),
      path: 'node.nodeId',
    });
    expect(hub.node('n-2')).toBeUndefined();
    expect(await agent.register({ nodeId: 'n-1', kind: 'edge' })).toMatchObject({
      nodeId: 'n-1',
      reregistered: true,
      node: { kind: 'edge', seq: 2 },
    });
  });

  test('[REG-10] stats and deregister before the registration are refused, and it may still register', async () => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    for (const message of [{ type: 'stats', stats: { cpuPercent: 1 } }, { type: 'deregister' }]) {
      expect(await agent.exchange(message)).toMatchObject({ type: 'error', code: 'not_registered' });
    }
    expect(await agent.register({ nodeId: 'n-1' })).toMatchObject({ node: { seq: 1 } });
  });

  test.each([0, 2, '1', null, undefined])(
    '[REG-11] protocol %j is refused by name, and the socket may register properly',
    async (protocol) => {
      const hub = await hubs.start();
      const agent = await hub.connect();
      expect(await agent.ask({ hostname: 'n-1' }, { protocol })).toMatchObject({
        code: 'invalid',
        path: 'protocol',
      });
      expect(hub.hub.fleet.view.size).toBe(0);
      await agent.register({ nodeId: 'n-1' });
    },
  );

  test('[REG-12] registers that do not wait for the answer are all answered, in order', async () => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    const register = { type: 'register', protocol: 1, instanceId: randomUUID() };
    for (const kind of ['a', 'b', 'c']) {
      agent.send({ ...register, node: { nodeId: 'n-1', hostname: 'n-1', kind } });
    }
    expect(await agent.next()).toMatchObject({ reregistered: false, node: { kind: 'a', seq: 1 } });
    // The second waited for the registration, and the third took its place.
    for (let answers = 0; answers < 2; answers += 1) {
      expect(await agent.next()).toMatchObject({ reregistered: true, node: { kind: 'c', seq: 2 } });
    }
    expect(await hub.events('n-1')).toMatchObject([{ type: 'registered' }, { type: 'updated' }]);
  });

  test.each([
    [1, 10_000],
    [10_000, 10_000],
    [60_000, 60_000],
    [LIMITS.longestIntervalMs, LIMITS.longestIntervalMs],
    [86_400_000, LIMITS.longestIntervalMs],
  ])('[REG-13] an agent that asks for %i ms beats every %i ms', async (asked, agreed) => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    const timing = { intervalMs: agreed, timeoutMs: 3 * agreed };
    expect(await agent.register({ nodeId: 'n-1' }, { heartbeat: { intervalMs: asked } })).toMatchObject({
      heartbeat: timing,
      node: { heartbeat: timing },
    });
  });

  test.each([0, -1, 1.5, 86_400_001, '60s', null])(
    '[REG-13] an interval of %j is dropped by name, and the hub keeps its own',
    async (intervalMs) => {
      const hub = await hubs.start();
      const agent = await hub.connect();
      expect(await agent.ask({ hostname: 'n-1' }, { heartbeat: { intervalMs } })).toMatchObject({
        type: 'registered',
        heartbeat: { intervalMs: 10_000 },
      });
      expect(await agent.next()).toMatchObject({ code: 'invalid', path: 'heartbeat.intervalMs' });
    },
  );

  test('[REG-14] unknown fields are passed over', async () => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    const answer = await agent.register({ nodeId: 'n-1', colour: 'red' }, { since: 'tomorrow' });
    expect(answer.node).not.toHaveProperty('colour');
    agent.send({ type: 'stats', stats: { cpuPercent: 5, mood: 'good' }, more: [1] });
    await agent.ping();
    expect(agent.unread).toEqual([]);
  });
});

describe('deregistering over a socket', () => {
  test('[REM-3] it is answered with close 1000, the node is removed, and its return goes on at the next version', async () => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1' });
    agent.send({ type: 'deregister', reason: 'decommissioned' });
    expect(await agent.closed).toEqual({ code: 1000, reason: 'deregistered' });
    expect(hub.node('n-1')).toBeUndefined();
    const again = await hub.connect();
    expect(await again.register({ nodeId: 'n-1' })).toMatchObject({
      reregistered: false,
      node: { seq: 3, reason: 'registered' },
    });
    expect(await hub.events('n-1')).toMatchObject([
      { type: 'registered', seq: 1 },
      { type: 'removed', seq: 2, reason: 'deregistered', evidence: { detail: 'decommissioned' } },
      { type: 'registered', seq: 3 },
    ]);
  });

  test('[REM-4] what follows a deregister on the same socket is passed over', async () => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1' });
    agent.send({ type: 'deregister' });
    agent.send({ type: 'stats', stats: { cpuPercent: 1 } });
    agent.send({
      type: 'register',
      protocol: 1,
      instanceId: agent.instanceId,
      node: { nodeId: 'n-1', hostname: 'n-1' },
    });
    expect(await agent.closed).toMatchObject({ code: 1000 });
    expect(hub.node('n-1')).toBeUndefined();
    expect(await hub.events('n-1')).toHaveLength(2);
  });
});

describe('heartbeats over a socket', () => {
  test('[HB-1] a ping of a live session is answered by a pong and is a heartbeat', async () => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    const { node } = await agent.register({ nodeId: 'n-1' });
    const registered = await hub.hub.fleet.stats([node]);
    // Well after the registration: both are known to the millisecond only, by clocks that may be one apart.
    await hub.nodeThat('n-1', () => Date.now() > Date.parse(node.registeredAt) + 10);
    await agent.ping();
    await until('the heartbeat is written', async () => {
      const beaten = await hub.hub.fleet.stats([node]);
      const [before, after] = [registered, beaten].map((stats) => stats.get('n-1')?.lastHeartbeatAt ?? '');
      return Date.parse(after ?? '') > Date.parse(before ?? '');
    });
  });

  test('[HB-2] stats are a heartbeat too, and are not answered; a ping after them loses none', async () => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    const { node } = await agent.register({ nodeId: 'n-1' });
    agent.send({ type: 'stats', stats: { cpuPercent: 42, metrics: { 'gpu/0.watts': 300 } } });
    await agent.ping();
    await until('the stats are written', async () => {
      expect((await hub.hub.fleet.stats([node])).get('n-1')).toMatchObject({
        cpuPercent: 42,
        metrics: { 'gpu/0.watts': 300 },
        lastHeartbeatAt: expect.any(String),
      });
      return true;
    });
    expect(agent.unread).toEqual([]);
  });

  test('[HB-3] a ping before the registration is answered by a pong and is no heartbeat', async () => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    await agent.ping();
    expect(hub.hub.fleet.view.size).toBe(0);
    expect(await agent.register({ nodeId: 'n-1' })).toMatchObject({ node: { seq: 1 } });
  });
});
