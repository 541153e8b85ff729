import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../server/runtime/clock.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import { CLOSE } from '../../shared/index.ts';
import { RefusedUpgrade } from '../support/agent-client.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { closeFrame, frame, OPCODE } from '../support/raw-socket.ts';
import { soon } from '../support/soon.ts';
import { TestHubs } from '../support/test-hub.ts';
import { expectUnharmed, withBystander } from './bystander.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

describe('closes that the agent begins', () => {
  test('[TERM-5] its reason text stands in the evidence without control characters', async () => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1' });
    agent.socket.close(1000, 'bye\u009b2J\u202e');
    const node = await hub.nodeThat('n-1', ({ status }) => status === 'offline');
    expect(node.evidence).toMatchObject({ detail: 'bye\\u009b2J\\u202e' });
  });

  test.each([1000, 1001])('[CLOSE-1] %i is a goodbye: offline, agent_stopped', async (code) => {
    const watched = await withBystander(await hubs.start());
    const agent = await watched.hub.agent({ nodeId: 'n-1' });
    agent.socket.close(code, 'maintenance');
    expect(await agent.closed).toMatchObject({ code });
    const node = await watched.hub.nodeThat('n-1', ({ status }) => status === 'offline');
    expect(node).toMatchObject({
      reason: 'agent_stopped',
      evidence: { closeCode: code, detail: 'maintenance' },
      connection: null,
      seq: 2,
    });
    await expectUnharmed(watched);
  });

  test.each([1011, 3000, 4000, 4409])(
    '[CLOSE-2] %i is no goodbye: unreachable, connection_lost, the code as evidence',
    async (code) => {
      const hub = await hubs.start();
      const agent = await hub.agent({ nodeId: 'n-1' });
      agent.socket.close(code);
      expect(await hub.nodeThat('n-1', ({ status }) => status !== 'online')).toMatchObject({
        status: 'unreachable',
        reason: 'connection_lost',
        evidence: { closeCode: code, lastHeartbeatAt: expect.any(String), hubId: hub.hub.hubId },
        connection: null,
      });
    },
  );

  test.each([
    ['a close without a code', 'close', 1005],
    ['a RST', 'reset', 1006],
    ['the end of the network connection', 'end', 1006],
  ])('[CLOSE-2] %s is no goodbye', async (_name, how, closeCode) => {
    const hub = await hubs.start();
    const agent = await hub.rawAgent();
    const node = { nodeId: 'n-1', hostname: 'n-1' };
    const instanceId = 'f7a9b5a4-3c0e-4d5e-9a53-0f9b7b3b8b11';
    agent.write(frame(OPCODE.text, JSON.stringify({ type: 'register', protocol: 1, instanceId, node })));
    await agent.nextFrame();
    if (how === 'close') agent.write(closeFrame());
    else if (how === 'reset') agent.reset();
    else agent.socket.end();
    expect(await hub.nodeThat('n-1', ({ status }) => status !== 'online')).toMatchObject({
      status: 'unreachable',
      reason: 'connection_lost',
      evidence: { closeCode },
    });
  });

  test('[CLOSE-3] a socket that closes before it registered leaves no trace', async () => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    agent.socket.close(1000);
    await agent.closed;
    await soon(() => hub.hub.agents.size === 0);
    expect(hub.hub.fleet.view.size).toBe(0);
  });

  test('[CLOSE-4] a goodbye right behind the register is told: the node was there, and is offline', async () => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    agent.send({
      type: 'register',
      protocol: 1,
      instanceId: agent.instanceId,
      node: { nodeId: 'n-1', hostname: 'n-1' },
    });
    agent.socket.close(1000);
    await hub.nodeThat('n-1', ({ status }) => status === 'offline');
    expect(await hub.events('n-1')).toMatchObject([
      { type: 'registered', to: 'online' },
      { type: 'status', to: 'offline', reason: 'agent_stopped' },
    ]);
    expect(hub.hub.fleet.sessions.size).toBe(0);
  });

  test('[MOVE-6] an end without a goodbye before the registration was answered changes nothing', async () => {
    const memory = new MemoryFleet(systemClock, 4);
    const store = new FaultyStore(new MemoryStore(memory));
    const hub = await hubs.start({ memory, store });
    const agent = await hub.connect();
    const { commit } = store;
    let waits = false;
    let answer = (): void => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    store.commit = async (change) => {
      waits = true;
      await answered;
      return commit(change);
    };
    agent.send({
      type: 'register',
      protocol: 1,
      instanceId: agent.instanceId,
      node: { nodeId: 'n-1', hostname: 'n-1' },
    });
    await soon(() => waits);
    agent.socket.terminate();
    await soon(() => hub.hub.agents.size === 0);
    answer();
    await hub.nodeThat('n-1', ({ status }) => status === 'online');
    await soon(() => hub.hub.fleet.sessions.size === 0);
    expect(await hub.events('n-1')).toMatchObject([{ type: 'registered', to: 'online' }]);
  });
});

describe('closes that the hub begins', () => {
  test('[CLOSE-5] the older session of a node is closed with 4409, and its late end changes nothing', async () => {
    const watched = await withBystander(await hubs.start());
    const older = await watched.hub.agent({ nodeId: 'n-1' });
    const newer = await watched.hub.agent({ nodeId: 'n-1' });
    expect(await older.closed).toEqual({ code: 4409, reason: CLOSE.superseded.reason });
    await newer.ping();
    expect(watched.hub.node('n-1')).toMatchObject({ status: 'online', reason: 'superseded', seq: 2 });
    await expectUnharmed(watched);
  });

  test('[CLOSE-6] an agent whose node an operator removes is closed with 4404', async () => {
    const watched = await withBystander(await hubs.start());
    const agent = await watched.hub.agent({ nodeId: 'n-1' });
    await watched.hub.hub.fleet.removals.remove('n-1', { reason: 'removed_by_operator' });
    expect(await agent.closed).toEqual({ code: 4404, reason: CLOSE.removed.reason });
    expect(watched.hub.node('n-1')).toBeUndefined();
    expect(await watched.hub.events('n-1')).toHaveLength(2);
    await expectUnharmed(watched);
  });

  test.each([1000, 1012, 4000, undefined])(
    '[CLOSE-7] a hub that stops closes with 1012, and writes nothing when the peer answers %j',
    async (answer) => {
      const hub = await hubs.start();
      const raw = await hub.rawAgent();
      const node = { nodeId: 'n-1', hostname: 'n-1' };
      const instanceId = 'f7a9b5a4-3c0e-4d5e-9a53-0f9b7b3b8b11';
      raw.write(frame(OPCODE.text, JSON.stringify({ type: 'register', protocol: 1, instanceId, node })));
      await raw.nextFrame();
      const stopping = hub.stop();
      expect(await raw.closeCode()).toBe(1012);
      raw.write(closeFrame(answer));
      await stopping;
      expect(await hub.stored('n-1')).toMatchObject({ status: 'online', seq: 1 });
      expect(await hub.events('n-1')).toHaveLength(1);
    },
  );

  test('[CLOSE-8] a hub that stops writes the heartbeats that wait, and ends who does not answer', async () => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    const { node } = await agent.register({ nodeId: 'n-1' });
    const deaf = await hub.rawAgent();
    agent.send({ type: 'stats', stats: { cpuPercent: 77 } });
    await agent.ping();
    await hub.stop();
    await deaf.gone;
    expect(await agent.closed).toMatchObject({ code: 1012 });
    expect(await hub.storedStats(node)).toMatchObject({ cpuPercent: 77 });
  });

  test('[CLOSE-9] a hub that stops spreads its closes over at most 3 s, and answers upgrades with 503', async () => {
    const clock = new FakeClock();
    const hub = await hubs.start({ clock });
    const agents = await Promise.all(Array.from({ length: 100 }, () => hub.connect()));
    const ends: number[] = [];
    for (const agent of agents) void agent.closed.then(() => ends.push(clock.now()));
    const from = clock.now();
    const draining = hub.hub.agents.drain();
    expect(hub.hub.agents.drain()).toBe(draining);
    const refusal = await hub.connect().catch((error: unknown) => error);
    expect(refusal).toMatchObject({
      status: 503,
      headers: { 'retry-after': expect.stringMatching(/^[123]$/) },
    });
    for (let steps = 0; ends.length < agents.length; steps += 1) {
      expect(steps).toBeLessThan(100);
      const before = ends.length;
      await clock.advance(50);
      await soon(() => ends.length > before || hub.hub.agents.size === 0);
    }
    await Promise.all([draining, clock.advance(50)]);
    expect(new Set(ends).size).toBeGreaterThan(3);
    expect(Math.max(...ends) - from).toBeLessThanOrEqual(3_000);
  });

  test('[CLOSE-10] a socket that does not register within 10 s is closed with 4408, whatever else it sends', async () => {
    const clock = new FakeClock();
    const watched = await withBystander(await hubs.start({ clock }));
    const silent = await watched.hub.connect();
    const busy = await watched.hub.connect();
    for (let second = 0; second < 10; second += 1) {
      await clock.advance(1_000);
      await busy.ping();
      if (second % 3 === 0) await busy.exchange('{}');
    }
    expect([silent.open, busy.open]).toEqual([true, true]);
    await clock.advance(1_000);
    expect(await silent.closed).toEqual({ code: 4408, reason: CLOSE.unregistered.reason });
    expect(await busy.closed).toMatchObject({ code: 4408 });
    await expectUnharmed(watched);
  });

  test('[CLOSE-11] a socket from which nothing came for two timeouts is cut without a close code', async () => {
    const clock = new FakeClock();
    const watched = await withBystander(await hubs.start({ clock }));
    const { hub, bystander } = watched;
    const silent = await hub.agent({ nodeId: 'n-1' });
    for (let passed = 0; passed < 60_000; passed += 10_000) {
      await bystander.ping();
      await clock.advance(10_000);
    }
    expect(silent.open).toBe(true);
    expect(hub.node('n-1')).toMatchObject({ status: 'offline', reason: 'heartbeat_timeout', seq: 2 });
    await clock.advance(1_000);
    expect(await silent.closed).toMatchObject({ code: 1006 });
    await expectUnharmed(watched);
    expect(hub.node('n-1')).toMatchObject({ status: 'offline', seq: 2 });
  });

  test("[CLOSE-11] the timing is the node's own", async () => {
    const clock = new FakeClock();
    const hub = await hubs.start({ clock });
    const slow = await hub.connect();
    await slow.register({ nodeId: 'slow' }, { heartbeat: { intervalMs: 60_000 } });
    await clock.advance(179_000);
    expect(hub.node('slow')).toMatchObject({ status: 'online' });
    await clock.advance(60_000);
    expect(slow.open).toBe(true);
    expect(hub.node('slow')).toMatchObject({ status: 'offline' });
    await slow.ping();
    await clock.advance(200);
    expect(hub.node('slow')).toMatchObject({ status: 'online', reason: 'reconnected' });
  });
});

describe('while the store is away', () => {
  test('[CLOSE-12] a waiting registration is closed with 1013 and a time to wait, upgrades are answered 503', async () => {
    const store = new FaultyStore(new MemoryStore(new MemoryFleet(systemClock, 4)));
    const hub = await hubs.start({ store });
    const live = await hub.agent({ nodeId: 'n-1' });
    const waiting = await hub.connect();
    store.fault = 'away';
    waiting.send({
      type: 'register',
      protocol: 1,
      instanceId: waiting.instanceId,
      node: { hostname: 'n-2' },
    });
    const { code, reason } = await waiting.closed;
    expect(code).toBe(1013);
    const { retryAfterMs } = JSON.parse(reason);
    expect(retryAfterMs).toBeGreaterThanOrEqual(1_000);
    expect(retryAfterMs).toBeLessThanOrEqual(3_000);
    await soon(() => !hub.hub.fleet.admits);
    const refusal = await hub.connect().catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(RefusedUpgrade);
    expect(refusal).toMatchObject({
      status: 503,
      headers: { 'retry-after': expect.stringMatching(/^[123]$/) },
    });

    // A live session stays: what it asks for is refused, its heartbeats wait.
    expect(await live.exchange({ type: 'deregister' })).toMatchObject({ code: 'store_away' });
    expect(await live.ask({ nodeId: 'n-1', hostname: 'n-1', kind: 'x' })).toMatchObject({
      code: 'store_away',
    });
    await live.ping();
    store.fault = 'none';
    await soon(() => hub.hub.fleet.admits);
    await hub.agent({ nodeId: 'n-2' });
    await live.ping();
    expect(hub.node('n-1')).toMatchObject({ status: 'online', seq: 1 });
  });
});
