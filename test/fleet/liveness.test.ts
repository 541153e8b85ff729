import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Fleet } from '../../server/fleet/fleet.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import type { FleetEvent } from '../../shared/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import {
  registerAgent,
  registerMessage,
  sendStats,
  type TestAgent,
  testFleet,
} from '../support/test-fleet.ts';

const goodbye = { goodbye: true, code: 1000 };
const lost = { goodbye: false, code: 1006 };

describe('the life of a node', () => {
  let clock: FakeClock;
  let memory: MemoryFleet;
  let fleets: Fleet[];
  let fleet: Fleet;

  beforeEach(async () => {
    clock = new FakeClock();
    memory = new MemoryFleet(clock, 4);
    fleets = [];
    fleet = await hub('hub-a');
  });
  afterEach(async () => {
    const stops = fleets.map((each) => each.stop());
    await clock.advance(1);
    await Promise.all(stops);
  });

  async function hub(hubId: string): Promise<Fleet> {
    const started = testFleet(new MemoryStore(memory), clock, hubId);
    await started.start();
    fleets.push(started);
    return started;
  }

  async function register(
    on: Fleet = fleet,
    ...about: Parameters<typeof registerMessage>
  ): Promise<TestAgent> {
    const registered = registerAgent(on, registerMessage(...about));
    await clock.settle();
    return registered;
  }

  /** Lets time pass while the agent beats every interval. */
  async function beating(on: Fleet, agents: readonly TestAgent[], ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 10_000) {
      for (const { session } of agents) on.heartbeat(session);
      await clock.advance(Math.min(10_000, ms - passed));
    }
  }

  const node = (id: string, on: Fleet = fleet) => on.view.get(id)?.node;
  const events = (id: string): Promise<FleetEvent[]> =>
    fleet.history({ id, limit: 100 }).then((all) => all.reverse());
  /** Since the start, so that the store has been seen for longer than any timeout. */
  const wellAfterStart = () => clock.advance(31_000);

  it('[REG-1] the first registration makes version 1, online, with its evidence', async () => {
    const { reply } = await register(fleet, { hostname: 'rack-1.local', labels: { zone: 'a' } });
    expect(reply).toMatchObject({
      type: 'registered',
      reregistered: false,
      heartbeat: { intervalMs: 10_000, timeoutMs: 30_000 },
    });
    expect(node(reply.nodeId)).toEqual(reply.node);
    expect(reply.node).toMatchObject({
      seq: 1,
      status: 'online',
      reason: 'registered',
      labels: { zone: 'a' },
    });
    expect(reply.node.connection).toMatchObject({
      hubId: 'hub-a',
      transport: 'websocket',
      remoteAddress: '192.0.2.1',
    });
    expect(await events(reply.nodeId)).toMatchObject([
      { seq: 1, type: 'registered', from: null, to: 'online' },
    ]);
  });

  it('[REG-2] the same hostname is the same node on every hub and in an emptied store', async () => {
    const first = await register(fleet, { hostname: 'same.local' });
    const other = await hub('hub-b');
    const second = await register(other, { hostname: 'same.local' });
    expect(second.reply.nodeId).toBe(first.reply.nodeId);
    expect(second.reply.createdAt).toBe(first.reply.createdAt);
    expect(second.reply.reregistered).toBe(true);
    const elsewhere = testFleet(new MemoryStore(new MemoryFleet(clock)), clock, 'hub-c');
    await elsewhere.start();
    fleets.push(elsewhere);
    expect((await register(elsewhere, { hostname: 'same.local' })).reply.nodeId).toBe(first.reply.nodeId);
  });

  it('[REG-3] two first registrations at the same moment on two hubs end as one node, the newer session live', async () => {
    const other = await hub('hub-b');
    const both = Promise.all([
      registerAgent(fleet, registerMessage({ nodeId: 'twin' })),
      registerAgent(other, registerMessage({ nodeId: 'twin' })),
    ]);
    await clock.advance(2_000);
    const [a, b] = await both;
    const [older, newer] = a.reply.node.seq < b.reply.node.seq ? [a, b] : [b, a];
    expect([older.reply.node.seq, newer.reply.node.seq]).toEqual([1, 2]);
    expect(older.link.ended).toMatchObject([{ code: 4409 }]);
    expect(newer.link.ended).toEqual([]);
    expect((await events('twin')).map(({ type, reason }) => [type, reason])).toEqual([
      ['registered', 'registered'],
      ['reregistered', 'superseded'],
    ]);
  });

  it('[REG-4] another instance while the first still beats supersedes it; the same instance reconnects', async () => {
    const first = await register(fleet, { nodeId: 'n' });
    const clone = await register(fleet, { nodeId: 'n' });
    expect(clone.reply.node.reason).toBe('superseded');
    expect(first.link.ended).toMatchObject([{ code: 4409 }]);
    const same = await register(fleet, { nodeId: 'n' }, { instanceId: clone.session.record.instanceId });
    expect(same.reply.node.reason).toBe('reconnected');
  });

  it('[REG-5] a late close of an older session changes nothing', async () => {
    const first = await register(fleet, { nodeId: 'n' });
    await register(fleet, { nodeId: 'n' });
    await fleet.closed(first.session, lost);
    await clock.settle();
    expect(node('n')?.status).toBe('online');
  });

  it('[REG-6] a second register updates the node, and one that changes nothing makes no event', async () => {
    const { session } = await register(fleet, { nodeId: 'n', labels: { zone: 'a' }, kind: 'gpu' });
    const update = fleet.registrar.update(session, registerMessage({ nodeId: 'n', labels: { zone: 'b' } }));
    await clock.settle();
    expect((await update).kind).toBe('updated');
    expect(node('n')).toMatchObject({
      seq: 2,
      labels: { zone: 'b' },
      status: 'online',
      reason: 'registered',
    });
    expect(node('n')).not.toHaveProperty('kind');
    const again = fleet.registrar.update(session, registerMessage({ nodeId: 'n', labels: { zone: 'b' } }));
    await clock.settle();
    expect((await again).kind).toBe('updated');
    expect(node('n')?.seq).toBe(2);
    const other = fleet.registrar.update(session, registerMessage({ nodeId: 'm' }));
    expect((await other).kind).toBe('identity-changed');
  });

  it('[REG-7] an agent may ask for a longer interval and is judged by it', async () => {
    await wellAfterStart();
    const { reply } = await register(fleet, { nodeId: 'slow' }, { heartbeat: { intervalMs: 60_000 } });
    expect(reply.heartbeat).toEqual({ intervalMs: 60_000, timeoutMs: 180_000 });
    await clock.advance(179_900);
    expect(node('slow')?.status).toBe('online');
    await clock.advance(300);
    expect(node('slow')?.status).toBe('offline');
  });

  it('[OFF-1] silence is offline when the heartbeat runs out: not before it, at most 200 ms after it', async () => {
    await wellAfterStart();
    const { session } = await register(fleet, { nodeId: 'n' });
    await clock.advance(5_000);
    fleet.heartbeat(session);
    await clock.advance(29_999);
    expect(node('n')?.status).toBe('online');
    await clock.advance(201);
    expect(node('n')).toMatchObject({ status: 'offline', reason: 'heartbeat_timeout', connection: null });
    const since = new Date(node('n')?.evidence.lastHeartbeatAt ?? 0).getTime();
    expect(clock.now() - since).toBeGreaterThanOrEqual(30_000);
    expect(clock.now() - since).toBeLessThanOrEqual(30_200);
  });

  it('[OFF-2] heartbeats keep a node online, and bring a given-up one back', async () => {
    await wellAfterStart();
    const agent = await register(fleet, { nodeId: 'n' });
    await beating(fleet, [agent], 120_000);
    expect(node('n')).toMatchObject({ seq: 1, status: 'online' });
    await clock.advance(40_000);
    expect(node('n')?.status).toBe('offline');
    fleet.heartbeat(agent.session);
    await clock.advance(200);
    expect(node('n')).toMatchObject({
      seq: 3,
      status: 'online',
      reason: 'reconnected',
      connection: { hubId: 'hub-a' },
    });
  });

  it('[OFF-3] a socket that closes without a goodbye is unreachable at once, then offline', async () => {
    await wellAfterStart();
    const { session } = await register(fleet, { nodeId: 'n' });
    void fleet.closed(session, lost);
    await clock.settle();
    expect(node('n')).toMatchObject({
      status: 'unreachable',
      reason: 'connection_lost',
      evidence: { closeCode: 1006 },
    });
    await clock.advance(29_900);
    expect(node('n')?.status).toBe('unreachable');
    await clock.advance(300);
    expect(node('n')).toMatchObject({ status: 'offline', reason: 'heartbeat_timeout' });
  });

  it('[OFF-4] a goodbye is offline at once', async () => {
    const { session } = await register(fleet, { nodeId: 'n' });
    void fleet.closed(session, goodbye);
    await clock.settle();
    expect(node('n')).toMatchObject({ status: 'offline', reason: 'agent_stopped' });
  });

  it('[OFF-5] the timeout counts from a heartbeat that was not written when its socket closed', async () => {
    await wellAfterStart();
    const { session } = await register(fleet, { nodeId: 'n' });
    await clock.advance(20_000);
    fleet.heartbeat(session);
    void fleet.closed(session, lost);
    await clock.advance(29_900);
    expect(node('n')?.status).toBe('unreachable');
    await clock.advance(300);
    expect(node('n')?.status).toBe('offline');
    expect(await events('n')).toHaveLength(3);
  });

  it('[REM-1] deregistering removes the node, and a later registration goes on at the next version', async () => {
    const { session, reply } = await register(fleet, { nodeId: 'n' });
    const removal = fleet.deregister(session, 'scrapped');
    await clock.advance(1_000);
    expect(await removal).toBe('removed');
    expect(node('n')).toBeUndefined();
    const back = await register(fleet, { nodeId: 'n' });
    expect(back.reply).toMatchObject({ reregistered: false, node: { seq: 3 } });
    expect(back.reply.createdAt > reply.createdAt).toBe(true);
    expect((await events('n')).map(({ type, seq }) => [type, seq])).toEqual([
      ['registered', 1],
      ['removed', 2],
      ['registered', 3],
    ]);
  });

  it('[REM-2] an operator removes a node: its socket is closed with 4404, on whichever hub it is', async () => {
    const other = await hub('hub-b');
    const { link } = await register(other, { nodeId: 'n' });
    await clock.advance(100);
    const removal = fleet.removals.remove('n', { reason: 'removed_by_operator' });
    await clock.advance(200);
    expect(await removal).toBe('removed');
    expect(link.ended).toMatchObject([{ code: 4404 }]);
    expect(node('n', other)).toBeUndefined();
  });

  it('[COND-1] a failing condition degrades the node, its end heals it, and a return keeps it', async () => {
    const { session } = await register(fleet, { nodeId: 'n' });
    const failing = { conditions: [{ type: 'disk', status: 'fail', message: '98 % full' }] } as const;
    sendStats(fleet, session, { conditions: [...failing.conditions] });
    await clock.settle();
    expect(node('n')).toMatchObject({
      status: 'degraded',
      reason: 'condition_failed',
      evidence: { detail: 'disk: 98 % full' },
    });
    void fleet.closed(session, lost);
    await clock.settle();
    expect(node('n')?.status).toBe('unreachable');
    const back = await register(fleet, { nodeId: 'n' });
    expect(back.reply.node.status).toBe('degraded');
    sendStats(fleet, back.session, { conditions: [] });
    await clock.advance(1_000);
    expect(node('n')).toMatchObject({ status: 'online', reason: 'condition_cleared', conditions: [] });
  });

  it('[COND-2] conditions are written at most once a second, the newest last', async () => {
    const { session } = await register(fleet, { nodeId: 'n' });
    for (let round = 0; round < 50; round += 1) {
      sendStats(fleet, session, { conditions: [{ type: 'load', status: round % 2 ? 'ok' : 'fail' }] });
      await clock.advance(10);
    }
    await clock.advance(2_000);
    expect(node('n')).toMatchObject({
      seq: 3,
      status: 'online',
      conditions: [{ type: 'load', status: 'ok' }],
    });
  });

  it('[COND-3] the conditions of an earlier instance end with the first stats that do not repeat them', async () => {
    const first = await register(fleet, { nodeId: 'n' });
    sendStats(fleet, first.session, { conditions: [{ type: 'disk', status: 'fail' }] });
    await clock.advance(1_100);
    const second = await register(fleet, { nodeId: 'n' });
    expect(second.reply.node.status).toBe('degraded');
    sendStats(fleet, second.session, { cpuPercent: 3 });
    await clock.settle();
    expect(node('n')?.status).toBe('online');
  });

  it('[HUB-1] the nodes of a hub that vanished are unreachable for one more timeout, then offline', async () => {
    await wellAfterStart();
    const other = await hub('hub-b');
    const agent = await register(other, { nodeId: 'n' });
    await beating(other, [agent], 20_000);
    await killed(other);
    await clock.advance(19_900);
    expect(node('n')?.status).toBe('online');
    // The hub might have had a heartbeat that waited to be written: [HUB-5].
    await clock.advance(700);
    expect(node('n')).toMatchObject({
      status: 'unreachable',
      reason: 'hub_lost',
      evidence: { hubId: 'hub-b' },
    });
    await clock.advance(29_500);
    expect(node('n')?.status).toBe('unreachable');
    await clock.advance(800);
    expect(node('n')).toMatchObject({ status: 'offline', reason: 'heartbeat_timeout' });
  });

  async function killed(dead: Fleet): Promise<void> {
    fleets = fleets.filter((each) => each !== dead);
    const stop = dead.stop();
    await clock.advance(1);
    await stop;
  }

  it('[HUB-2] an agent that moves to another hub within the timeout shows as nothing but online', async () => {
    await wellAfterStart();
    const other = await hub('hub-b');
    const instanceId = randomUUID();
    await register(other, { nodeId: 'n' }, { instanceId });
    await killed(other);
    await clock.advance(25_000);
    const moved = await register(fleet, { nodeId: 'n' }, { instanceId });
    await beating(fleet, [moved], 100_000);
    expect((await events('n')).map(({ type, to }) => [type, to])).toEqual([
      ['registered', 'online'],
      ['reregistered', 'online'],
    ]);
  });

  it('[HUB-3] a hub that slept for longer than the timeout expires no node by that silence', async () => {
    await wellAfterStart();
    const agent = await register(fleet, { nodeId: 'n' });
    clock.jump(120_000);
    fleet.heartbeat(agent.session);
    await beating(fleet, [agent], 60_000);
    expect((await events('n')).map(({ to }) => to)).toEqual(['online']);
  });

  it('[HUB-4] hubs that start after a long outage judge nobody by the old heartbeats', async () => {
    await wellAfterStart();
    await register(fleet, { nodeId: 'back' });
    await register(fleet, { nodeId: 'gone' });
    await killed(fleet);
    clock.jump(600_000);
    fleet = await hub('hub-b');
    await clock.advance(25_000);
    expect([node('back')?.status, node('gone')?.status]).toEqual(['online', 'online']);
    const back = await register(fleet, { nodeId: 'back' });
    await beating(fleet, [back], 70_000);
    expect(node('back')?.status).toBe('online');
    expect(node('gone')?.status).toBe('offline');
  });

  it('[HUB-5] another hub leaves a heartbeat that waits on the holder of the socket its time', async () => {
    const other = await hub('hub-b');
    await wellAfterStart();
    const { session } = await register(other, { nodeId: 'n' });
    await clock.advance(29_950);
    other.heartbeat(session);
    await clock.advance(1_000);
    expect(await events('n')).toHaveLength(1);
  });
});
