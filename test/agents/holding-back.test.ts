import { afterEach, describe, expect, test } from 'vitest';
import { CLOSE, type HubMessage, readRetryAfterMs } from '../../shared/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type TestHub, TestHubs } from '../support/test-hub.ts';
import { until } from '../support/until.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

const locationOf = (answer: HubMessage) =>
  answer.type === 'registered' ? answer.node.location : answer.type;

/** Registers `n-1` and closes its socket, so often. */
async function restart(hub: TestHub, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    const agent = await hub.agent({ nodeId: 'n-1' });
    agent.destroy();
    await hub.nodeThat('n-1', ({ status }) => status === 'unreachable');
  }
}

const post = (hub: TestHub, path: string, body: unknown) =>
  hub.fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

describe('updates of a session', () => {
  test('[LIM-27] are written once a second, the newest of them, and all answered', async () => {
    const clock = new FakeClock();
    const hub = await hubs.start({ clock });
    const agent = await hub.agent({ nodeId: 'n-1' });
    const update = (location: string) =>
      agent.send({
        type: 'register',
        protocol: 1,
        instanceId: agent.instanceId,
        node: { nodeId: 'n-1', hostname: 'n-1', location },
      });
    for (let n = 1; n <= 50; n += 1) update(`row-${n}`);
    expect(locationOf(await agent.next())).toBe('row-1');
    await agent.ping();
    expect(agent.unread).toEqual([]);
    expect(hub.node('n-1')).toMatchObject({ seq: 2, location: 'row-1' });
    await clock.advance(1_000);
    const answers: unknown[] = [];
    for (let n = 2; n <= 50; n += 1) answers.push(locationOf(await agent.next()));
    expect(answers).toEqual(Array.from({ length: 49 }, () => 'row-50'));
    expect(hub.node('n-1')).toMatchObject({ seq: 3, location: 'row-50' });
  });

  test('[LIM-27] that say the same are written never and answered at once', async () => {
    const hub = await hubs.start({ clock: new FakeClock() });
    const agent = await hub.agent({ nodeId: 'n-1' });
    for (let n = 0; n < 5; n += 1) await agent.register({ nodeId: 'n-1' });
    await agent.register({ nodeId: 'n-1', location: 'a' });
    expect(hub.node('n-1')).toMatchObject({ seq: 2 });
  });

  test('[LIM-29] do not hold up a deregister', async () => {
    const hub = await hubs.start({ clock: new FakeClock() });
    const agent = await hub.agent({ nodeId: 'n-1' });
    await agent.register({ nodeId: 'n-1', location: 'a' });
    agent.send({
      type: 'register',
      protocol: 1,
      instanceId: agent.instanceId,
      node: { nodeId: 'n-1', hostname: 'n-1', location: 'b' },
    });
    agent.send({ type: 'deregister' });
    expect(await agent.closed).toMatchObject({ code: 1000 });
    expect(locationOf(await agent.next())).toBe('b');
    expect(hub.node('n-1')).toBeUndefined();
  });
});

describe('a node that registers again and again', () => {
  test('[LIM-28] is told to wait before anything is written, over socket and HTTP alike, and others are not', async () => {
    const clock = new FakeClock();
    const hub = await hubs.start({ clock });
    await restart(hub, 30);
    expect(hub.node('n-1')).toMatchObject({ seq: 60 });
    const agent = await hub.connect();
    agent.send({
      type: 'register',
      protocol: 1,
      instanceId: agent.instanceId,
      node: { nodeId: 'n-1', hostname: 'n' },
    });
    const { code, reason } = await agent.closed;
    expect([code, readRetryAfterMs(reason)]).toEqual([CLOSE.busy.code, 5_000]);
    expect(JSON.parse(reason)).toMatchObject({ code: 'too_many_restarts' });
    const refused = await post(hub, '/api/v1/nodes', { node: { nodeId: 'n-1', hostname: 'n-1' } });
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '5']);
    expect(await refused.json()).toMatchObject({ code: 'rate_limited' });
    expect(hub.node('n-1')).toMatchObject({ seq: 60 });
    await hub.agent({ nodeId: 'n-2' });
    await clock.advance(5_000);
    await hub.agent({ nodeId: 'n-1' });
    expect(hub.logged('Registrations are held back')).toMatchObject([
      { level: 'warn', fields: { reason: 'too_many_restarts', nodeId: 'n-1', times: 1 } },
    ]);
    const metrics = await (await hub.fetch('/metrics')).text();
    expect(metrics).toContain('rollcall_registrations_held_total{reason="too_many_restarts"} 2');
  });

  test('[LIM-28] removals and registrations in turn are held back too', async () => {
    const clock = new FakeClock();
    const hub = await hubs.start({ clock });
    for (let time = 0; time < 30; time += 1) {
      const agent = await hub.agent({ nodeId: 'n-1' });
      agent.send({ type: 'deregister' });
      await agent.closed;
    }
    await until('its removal was followed', () => hub.node('n-1') === undefined);
    expect((await post(hub, '/api/v1/nodes', { node: { nodeId: 'n-1', hostname: 'n-1' } })).status).toBe(429);
  });

  test('[LIM-28] its conditions wait, and the newest is written', async () => {
    const clock = new FakeClock();
    const hub = await hubs.start({ clock });
    await restart(hub, 29);
    const agent = await hub.agent({ nodeId: 'n-1' });
    const report = (status: string) =>
      agent.send({ type: 'stats', stats: { conditions: [{ type: 'disk', status }] } });
    report('fail');
    await hub.nodeThat('n-1', ({ status, seq }) => status === 'degraded' && seq === 60);
    await clock.advance(1_000);
    report('ok');
    report('warn');
    await agent.ping();
    await clock.advance(3_000);
    expect(hub.node('n-1')).toMatchObject({ seq: 60 });
    await clock.advance(2_000);
    await hub.nodeThat('n-1', ({ seq, conditions }) => seq === 61 && conditions[0]?.status === 'warn');
  });
});

describe('a full fleet', () => {
  const settings = { MAX_NODES: '2' };
  const dialects: Array<[string, Record<string, unknown>]> = [
    ['/limiquantix.compute.v1.NodeService/RegisterNode', { hostname: 'n-3' }],
    ['/v2/nodes/register', { node_id: 'n-3' }],
    ['/api/v1/fleet/register', { node_id: 'n-3', node_type: 'edge' }],
    ['/api/nodes/register', { nodeId: 'n-3' }],
  ];

  test('[ADM-9] takes no new node at any entrance, and every node that is known', async () => {
    const hub = await hubs.start({ settings });
    await hub.agent({ nodeId: 'n-1' });
    const second = await hub.agent({ nodeId: 'n-2' });
    const third = await hub.connect();
    third.send({
      type: 'register',
      protocol: 1,
      instanceId: third.instanceId,
      node: { nodeId: 'n-3', hostname: 'n' },
    });
    expect(await third.closed).toEqual({ code: 4503, reason: CLOSE.fleetFull.reason });
    const refused = await post(hub, '/api/v1/nodes', { node: { hostname: 'n-3' } });
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '60']);
    expect(await refused.json()).toMatchObject({ code: 'fleet_full' });
    for (const [path, body] of dialects) {
      const answer = await post(hub, path, body);
      expect([path, answer.status, answer.headers.get('retry-after')]).toEqual([path, 503, '60']);
    }
    await hub.agent({ nodeId: 'n-1' });
    second.send({ type: 'deregister' });
    await second.closed;
    await hub.agent({ nodeId: 'n-3' });
  });
});

describe('registrations by requests', () => {
  test('[ADM-8] pass the admission of agents, and end their handshake with the answer', async () => {
    const clock = new FakeClock();
    const hub = await hubs.start({ clock, settings: { ADMIT_PER_SECOND: '1' } });
    const register = (n: number) => post(hub, '/api/v1/nodes', { node: { nodeId: `n-${n}`, hostname: 'n' } });
    expect((await register(1)).status).toBe(201);
    expect((await post(hub, '/v2/nodes/register', { node_id: 'n-2' })).status).toBe(200);
    const refused = await register(3);
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await refused.json()).toMatchObject({ code: 'busy' });
    expect((await post(hub, '/api/v1/nodes/n-1/heartbeat', {})).status).toBe(200);
    await until('no handshake is under way', () => hub.hub.agents.admission.handshakes === 0);
  });
});
