import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Fleet } from '../../server/fleet/fleet.ts';
import type { HttpHeartbeat, HttpHeartbeatOutcome } from '../../server/fleet/http-agents.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import type { FleetEvent, Registered } from '../../shared/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { registerAgent, registerMessage, testFleet } from '../support/test-fleet.ts';

const from = '192.0.2.7';

describe('agents without a socket', () => {
  let clock: FakeClock;
  let memory: MemoryFleet;
  let fleets: Fleet[];
  let store: FaultyStore;
  let fleet: Fleet;

  beforeEach(async () => {
    clock = new FakeClock();
    memory = new MemoryFleet(clock, 4);
    fleets = [];
    store = new FaultyStore(new MemoryStore(memory));
    fleet = await hub('hub-a', store);
  });
  afterEach(async () => {
    store.fault = 'none';
    const stops = fleets.map((each) => each.stop());
    await clock.advance(1);
    await Promise.all(stops);
  });

  async function hub(hubId: string, over = new FaultyStore(new MemoryStore(memory))): Promise<Fleet> {
    const started = testFleet(over, clock, hubId);
    await started.start();
    fleets.push(started);
    return started;
  }

  async function register(
    about: Parameters<typeof registerMessage>[0] = { nodeId: 'edge-1' },
    timing?: { intervalMs: number; timeoutMs: number },
    on: Fleet = fleet,
    instanceId?: string,
  ): Promise<Registered> {
    const message = registerMessage(about, instanceId === undefined ? {} : { instanceId });
    const answered = on.httpAgents.register(message, { remoteAddress: from }, timing);
    await clock.settle();
    const answer = await answered;
    if (typeof answer === 'string' || 'kind' in answer) throw new Error('the registration was refused');
    return answer;
  }

  async function beat(about: Partial<HttpHeartbeat> = {}, on: Fleet = fleet): Promise<HttpHeartbeatOutcome> {
    const answered = on.httpAgents.heartbeat({ id: 'edge-1', remoteAddress: () => from, ...about });
    await clock.settle();
    return answered;
  }

  const node = (id = 'edge-1', on: Fleet = fleet) => on.view.get(id)?.node;
  const events = (id = 'edge-1'): Promise<FleetEvent[]> =>
    fleet.history({ id, limit: 100 }).then((all) => all.reverse());

  it('[HTTP-1] registers with transport http and the hub that took it, and holds no live session', async () => {
    const reply = await register();
    expect(reply).toMatchObject({
      reregistered: false,
      heartbeat: { intervalMs: 10_000, timeoutMs: 30_000 },
    });
    expect(node()).toEqual(reply.node);
    expect(reply.node).toMatchObject({
      status: 'online',
      connection: { hubId: 'hub-a', transport: 'http', remoteAddress: from },
    });
    expect(fleet.sessions.size).toBe(0);
  });

  it('[HTTP-2] is offline once its own timeout passed in silence, for the same reason as over a socket', async () => {
    await clock.advance(31_000);
    await register(undefined, { intervalMs: 20_000, timeoutMs: 60_000 });
    await clock.advance(59_000);
    expect(node()?.status).toBe('online');
    await clock.advance(1_500);
    expect(node()).toMatchObject({ status: 'offline', reason: 'heartbeat_timeout' });
  });

  it('[HTTP-3] a hub that dies leaves its HTTP nodes online for as long as they beat elsewhere', async () => {
    await clock.advance(31_000);
    await register();
    const other = await hub('hub-b');
    await fleet.stop();
    fleets = [other];
    for (let passed = 0; passed < 90_000; passed += 10_000) {
      expect((await beat({}, other)).kind).toBe('taken');
      await clock.advance(10_000);
    }
    expect(node('edge-1', other)?.status).toBe('online');
    await clock.advance(31_000);
    expect(node('edge-1', other)).toMatchObject({ status: 'offline', reason: 'heartbeat_timeout' });
  });

  it('[HTTP-4] a heartbeat is answered with when the next one is due', async () => {
    await register(undefined, { intervalMs: 60_000, timeoutMs: 180_000 });
    expect(await beat()).toMatchObject({ kind: 'taken', nextInMs: 60_000 });
  });

  it('[HTTP-5] a heartbeat of a node that nobody knows is unknown', async () => {
    expect(await beat({ id: 'nobody' })).toEqual({ kind: 'unknown' });
  });

  it('[HTTP-6] with a session it counts only where that session speaks for the node', async () => {
    const first = await register();
    const second = await register();
    expect(second.session).not.toBe(first.session);
    expect(await beat({ session: first.session })).toEqual({ kind: 'superseded' });
    expect(await beat({ session: second.session })).toMatchObject({ kind: 'taken' });
  });

  it("[HTTP-7] without a session it does not keep a dead socket's node alive", async () => {
    await clock.advance(31_000);
    const agent = registerAgent(fleet, registerMessage({ nodeId: 'edge-1' }));
    await clock.settle();
    await agent;
    for (let passed = 0; passed < 30_000; passed += 5_000) {
      expect(await beat()).toEqual({ kind: 'not-http' });
      await clock.advance(5_000);
    }
    await clock.advance(1_000);
    expect(node()).toMatchObject({ status: 'offline', reason: 'heartbeat_timeout' });
  });

  it('[HTTP-8] a registration over HTTP closes an open socket with 4409, on any hub', async () => {
    const other = await hub('hub-b');
    const registering = registerAgent(other, registerMessage({ nodeId: 'edge-1' }));
    await clock.settle();
    const { link } = await registering;
    await register();
    await clock.advance(200);
    expect(link.ended).toMatchObject([{ code: 4409 }]);
    expect(node()).toMatchObject({ connection: { transport: 'http' }, reason: 'superseded' });
  });

  it('[HTTP-9] the first heartbeat after an offline brings the node back as reconnected', async () => {
    await clock.advance(31_000);
    await register();
    await clock.advance(32_000);
    expect(node()?.status).toBe('offline');
    expect(await beat()).toMatchObject({ kind: 'taken', node: { status: 'online' } });
    expect(node()).toMatchObject({
      status: 'online',
      reason: 'reconnected',
      connection: { transport: 'http' },
    });
    expect((await events()).map(({ from: was, to }) => [was, to])).toEqual([
      [null, 'online'],
      ['online', 'offline'],
      ['offline', 'online'],
    ]);
  });

  it('[HTTP-10] a failing condition degrades the node, and conditions are written at most once a second', async () => {
    await register();
    const fail = { type: 'disk', status: 'fail' } as const;
    await beat({ stats: { conditions: [fail] } });
    expect(node()).toMatchObject({ status: 'degraded', reason: 'condition_failed' });
    for (let round = 0; round < 5; round += 1) {
      await beat({ stats: { conditions: [] } });
      await beat({ stats: { conditions: [fail] } });
    }
    await beat({ stats: { conditions: [] } });
    expect((await events()).length).toBe(2);
    await clock.advance(1_100);
    expect(node()).toMatchObject({ status: 'online', reason: 'condition_cleared' });
    expect((await events()).length).toBe(3);
  });

  it('[STAT-14] a condition that cannot be read is as it was, in the report that waits too', async () => {
    await register();
    const [fail, ok] = [{ type: 'disk', status: 'fail' } as const, { type: 'fan', status: 'ok' } as const];
    await beat({ stats: { conditions: [ok] } });
    await beat({ stats: { conditions: [fail] } });
    await beat({ stats: { conditions: [] }, unread: new Set(['disk']) });
    await clock.advance(1_100);
    expect(node()).toMatchObject({ status: 'degraded', conditions: [fail] });
    await beat({ stats: { conditions: [ok] }, unread: new Set(['disk']) });
    await clock.advance(1_100);
    expect(node()).toMatchObject({ status: 'degraded', conditions: [fail, ok] });
    await register();
    await beat({ stats: {}, unread: 'all' });
    await clock.advance(1_100);
    expect(node()).toMatchObject({ status: 'degraded', conditions: [fail, ok] });
  });

  it('[HTTP-11] failing conditions of an earlier registration last until the first stats', async () => {
    await register();
    await beat({ stats: { conditions: [{ type: 'disk', status: 'fail' }] } });
    await register();
    expect(node()?.status).toBe('degraded');
    await clock.advance(1_100);
    await beat();
    expect(node()?.status).toBe('degraded');
    await beat({ stats: { cpuPercent: 3 } });
    expect(node()?.status).toBe('online');
  });

  it('[HTTP-12] stats are live at once, on every hub', async () => {
    await register();
    const other = await hub('hub-b');
    await clock.advance(5_000);
    await beat({ stats: { cpuPercent: 12.5 } }, other);
    const seen = node();
    if (!seen) throw new Error('the node is not there');
    const stats = (await fleet.stats([seen])).get('edge-1');
    expect(stats).toEqual({ cpuPercent: 12.5, lastHeartbeatAt: '2026-01-01T00:00:05.000Z' });
  });

  it('[HTTP-13] while the store is out of reach both are busy, and nothing is lost afterwards', async () => {
    const { session } = await register();
    store.fault = 'away';
    await clock.advance(200);
    expect(
      await fleet.httpAgents.register(registerMessage({ nodeId: 'edge-2' }), { remoteAddress: from }),
    ).toBe('busy');
    expect(await beat({ session })).toEqual({ kind: 'busy' });
    store.fault = 'none';
    await clock.advance(200);
    expect(await beat({ session })).toMatchObject({ kind: 'taken' });
  });

  it('[HTTP-14] a heartbeat that finds its registration lost puts it back instead of refusing', async () => {
    const { session, createdAt } = await register();
    memory.empty(store.shardOf('edge-1'));
    const outcomes = [await beat({ session }), await beat({ session })];
    await clock.advance(500);
    outcomes.push(await beat({ session }));
    expect(outcomes.at(-1)).toMatchObject({ kind: 'taken' });
    expect(outcomes.map(({ kind }) => kind)).not.toContain('unknown');
    expect(outcomes.map(({ kind }) => kind)).not.toContain('superseded');
    expect(node()).toMatchObject({ createdAt, status: 'online' });
  });

  it('[HTTP-15] heartbeats that come while one is written go together', async () => {
    for (let index = 0; index < 50; index += 1) await register({ nodeId: `edge-${index}` });
    const before = store.calls.get('beat') ?? 0;
    const answers = Array.from({ length: 50 }, (_, index) =>
      fleet.httpAgents.heartbeat({ id: `edge-${index}`, remoteAddress: () => from }),
    );
    await clock.settle();
    for (const answer of await Promise.all(answers)) expect(answer.kind).toBe('taken');
    expect((store.calls.get('beat') ?? 0) - before).toBeLessThanOrEqual(4);
  });

  it('[HTTP-16] a socket that beat within one interval holds its id, a silent one does not', async () => {
    const registering = registerAgent(fleet, registerMessage({ nodeId: 'edge-1' }));
    await clock.settle();
    await registering;
    expect(await fleet.httpAgents.socketHolds('edge-1')).toBe('held');
    await clock.advance(10_500);
    expect(await fleet.httpAgents.socketHolds('edge-1')).toBe('free');
    expect(await fleet.httpAgents.socketHolds('nobody')).toBe('free');
    await register({ nodeId: 'edge-2' });
    expect(await fleet.httpAgents.socketHolds('edge-2')).toBe('free');
  });
});
