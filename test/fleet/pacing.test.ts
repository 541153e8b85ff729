import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Fleet } from '../../server/fleet/fleet.ts';
import { NoView } from '../../server/picture/no-view.ts';
import { StoreAwayError } from '../../server/store/fleet-store.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import { FEATURES, type Feature, type HeartbeatTiming } from '../../shared/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { registerAgent, registerMessage, type TestAgent, TIMING, testFleet } from '../support/test-fleet.ts';

const TEN = { intervalMs: 10_000, timeoutMs: 30_000 };
const TWENTY = { intervalMs: 20_000, timeoutMs: 60_000 };
const LONGEST = { intervalMs: 60_000, timeoutMs: 180_000 };

describe('an interval that grows with the fleet', () => {
  let clock: FakeClock;
  let memory: MemoryFleet;
  let store: FaultyStore;
  let fleet: Fleet;
  let fleets: Fleet[];
  /** Who beats, and how: in the interval that it was told last, or in one of its own. */
  const beating = new Map<TestAgent, { on: Fleet; lastAt: number; ownMs?: number }>();

  beforeEach(async () => {
    clock = new FakeClock();
    memory = new MemoryFleet(clock, 2);
    store = new FaultyStore(new MemoryStore(memory));
    fleets = [];
    fleet = await hub('hub-a', store);
    await crowd(0);
    await pass(31_000);
  });
  afterEach(async () => {
    beating.clear();
    store.fault = 'none';
    const stops = fleets.map((each) => each.stop());
    await clock.advance(1);
    await Promise.all(stops);
  });

  async function hub(hubId: string, over = new FaultyStore(new MemoryStore(memory))): Promise<Fleet> {
    const started = testFleet(over, clock, hubId, TIMING, { pace: { longestMs: 60_000, perSecond: 10 } });
    await started.start();
    fleets.push(started);
    return started;
  }

  /** Another hub tells of so many sessions. The limit is 10 a second: 200 of them make it 20 s. */
  async function crowd(sessions: number): Promise<void> {
    const lease = { hubId: 'crowd', address: 'x', sessions, version: 'test' };
    await memoryStore().renewLease(lease, 3_600_000);
  }
  const memoryStore = () => new MemoryStore(memory);

  async function register(
    id: string,
    {
      on = fleet,
      ownMs,
      askedMs,
      features = [],
    }: { on?: Fleet; ownMs?: number; askedMs?: number; features?: Feature[] } = {},
  ): Promise<TestAgent> {
    const extra = askedMs === undefined ? {} : { heartbeat: { intervalMs: askedMs } };
    const registered = registerAgent(on, registerMessage({ nodeId: id }, extra), features);
    await clock.settle();
    const agent = await registered;
    beating.set(agent, { on, lastAt: clock.now(), ...(ownMs !== undefined && { ownMs }) });
    return agent;
  }

  const knows = ({ link, reply }: TestAgent): HeartbeatTiming => link.told.at(-1) ?? reply.heartbeat;

  /** Lets time pass in steps, while those who beat do. */
  async function pass(ms: number, stepMs = 500): Promise<void> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      await clock.advance(Math.min(stepMs, ms - passed));
      for (const [agent, { on, lastAt, ownMs }] of beating) {
        if (clock.now() - lastAt < (ownMs ?? knows(agent).intervalMs)) continue;
        on.heartbeat(agent.session);
        beating.set(agent, { on, lastAt: clock.now(), ...(ownMs !== undefined && { ownMs }) });
      }
    }
  }

  async function stored(id: string) {
    const looker = memoryStore();
    await looker.attach(looker.shardOf(id));
    const found = await looker.read(id);
    if (found.kind !== 'node') throw new Error(`${id} is not stored`);
    const { node } = found.record;
    const beat = (await looker.stats([{ id, timeoutMs: node.heartbeat.timeoutMs }])).get(id);
    const leftMs = beat && node.heartbeat.timeoutMs - beat.agoMs;
    return { timing: node.heartbeat, leftMs, status: node.status, seq: node.seq };
  }

  it('[PACE-1] the sessions of all hubs count, and all hubs come to the same answer', async () => {
    const other = await hub('hub-b');
    await crowd(195);
    for (const id of ['a', 'b', 'c']) await register(id);
    for (const id of ['d', 'e']) await register(id, { on: other });
    await pass(30_000);
    expect(fleets.map(({ pacing }) => pacing.timing)).toEqual([TWENTY, TWENTY]);
    await crowd(196);
    await pass(30_000);
    expect(fleets.map(({ pacing }) => pacing.timing.intervalMs)).toEqual([25_000, 25_000]);
  });

  it('[PACE-1] without a limit nobody is ever told another', async () => {
    const fixed = testFleet(memoryStore(), clock, 'hub-f');
    await fixed.start();
    fleets.push(fixed);
    await crowd(1_000_000);
    const agent = await register('a', { on: fixed });
    await pass(120_000);
    expect([fixed.pacing.timing, agent.link.told]).toEqual([TIMING, []]);
  });

  it('[PACE-2] the ratio stays, and who asked for a longer interval keeps it until the fleet needs a longer one', async () => {
    const agent = await register('a', { askedMs: 15_000 });
    const patient = await register('b', { askedMs: 600_000 });
    expect(agent.reply.heartbeat).toEqual({ intervalMs: 15_000, timeoutMs: 45_000 });
    await crowd(120);
    await pass(60_000);
    expect(fleet.pacing.timing).toEqual({ intervalMs: 13_000, timeoutMs: 39_000 });
    expect(agent.link.told).toEqual([]);
    await crowd(195);
    await pass(60_000);
    expect(agent.link.told).toEqual([TWENTY]);
    expect((await stored('a')).timing).toEqual(TWENTY);
    await crowd(0);
    await pass(120_000);
    expect(agent.link.told.slice(1)).toEqual([{ intervalMs: 15_000, timeoutMs: 45_000 }]);
    expect((await stored('a')).timing).toEqual({ intervalMs: 15_000, timeoutMs: 45_000 });
    expect(patient.link.told).toEqual([]);
  });

  it('[PACE-3] the longer timeout is in the store, and the heartbeat lasts by it, when the agent is told', async () => {
    const agent = await register('a');
    const found: unknown[] = [];
    // What is there when the agent is told.
    Object.defineProperty(agent.link, 'listens', {
      get: () => {
        const shard = memory.shards[store.shardOf('a')];
        const held = shard?.read('a');
        const beat = shard?.lastBeat('a', 0);
        found.push(
          held?.kind === 'node' && held.record.node.heartbeat,
          beat && clock.now() - beat.agoMs === agent.session.lastBeatAt,
        );
        return true;
      },
    });
    await crowd(195);
    await pass(60_000);
    expect(agent.link.told).toEqual([TWENTY]);
    expect(found.slice(0, 2)).toEqual([TWENTY, true]);
  });

  it('[PACE-3] nobody is told where the store does not answer, and what is in flight is written by the longer one', async () => {
    const agent = await register('a');
    await crowd(195);
    store.retime = async (_, retimings) => ({ refused: retimings.map(({ id }) => id) });
    await pass(60_000);
    expect([agent.link.told, agent.session.timing]).toEqual([[], TEN]);
    let answer: (value: { refused: string[] }) => void = () => {};
    store.retime = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    await pass(30_000);
    expect(agent.link.told).toEqual([]);
    expect((await stored('a')).leftMs).toBeGreaterThan(30_000);
    answer({ refused: [] });
    await clock.settle();
    expect(agent.link.told).toEqual([TWENTY]);
  });

  it('[PACE-3] an agent that cannot be told now is told later, and judged by the longer timeout', async () => {
    const agent = await register('a');
    agent.link.listens = false;
    await crowd(195);
    await pass(60_000);
    expect([agent.link.told, agent.session.sent, (await stored('a')).timing]).toEqual([[], TEN, TWENTY]);
    agent.link.listens = true;
    await pass(30_000);
    expect([agent.link.told, agent.session.sent]).toEqual([[TWENTY], TWENTY]);
  });

  it('[PACE-3] who is overdue is judged by the timeout that it had', async () => {
    const agent = await register('a');
    beating.delete(agent);
    await pass(29_000);
    // Nobody gets to judge it for a while.
    store.commit = async () => 'still-beating';
    await pass(2_000);
    await crowd(195);
    await pass(60_000);
    expect([agent.link.told, (await stored('a')).timing]).toEqual([[], TEN]);
    fleet.heartbeat(agent.session);
    await pass(30_000);
    expect([agent.link.told, (await stored('a')).timing]).toEqual([[TWENTY], TWENTY]);
  });

  it('[PACE-4] a shorter interval is told first, and the shorter timeout counts when the agent beats in it', async () => {
    await crowd(195);
    await pass(30_000);
    const obeys = await register('a');
    const deaf = await register('b', { ownMs: 20_000 });
    expect([knows(obeys), knows(deaf)]).toEqual([TWENTY, TWENTY]);
    await crowd(0);
    let toldAt = 0;
    for (let passed = 0; passed < 200_000 && toldAt === 0; passed += 500) {
      await pass(500);
      if (obeys.link.told.length > 0) toldAt = clock.now();
    }
    expect(obeys.link.told).toEqual([TEN]);
    await pass(10_000);
    expect((await stored('a')).timing).toEqual(TWENTY);
    expect((await stored('a')).leftMs).toBeGreaterThan(40_000);
    await pass(30_000);
    expect((await stored('a')).timing).toEqual(TEN);
    expect((await stored('a')).leftMs).toBeLessThanOrEqual(30_000);
    // Told too, but it goes on in the old rhythm, and nobody holds it against it.
    expect(deaf.link.told).toEqual([TEN]);
    await pass(200_000);
    expect(await stored('b')).toMatchObject({ timing: TWENTY, status: 'online', seq: 1 });
  });

  describe('with an agent that acknowledges', () => {
    const features = [FEATURES.heartbeatSet];

    /** An agent that had 20 s and was just sent 10 s. */
    async function shortened(options: { ownMs?: number } = {}): Promise<TestAgent> {
      await crowd(195);
      await pass(30_000);
      const agent = await register('a', { features, ...options });
      await crowd(0);
      for (let passed = 0; passed < 200_000 && agent.link.told.length === 0; passed += 500) await pass(500);
      expect(agent.link.told).toEqual([TEN]);
      return agent;
    }

    it('[PACE-4] the shorter timeout counts at once', async () => {
      const agent = await shortened();
      expect((await stored('a')).timing).toEqual(TWENTY);
      fleet.heartbeat(agent.session);
      fleet.pacing.acknowledged(agent.session, TEN.intervalMs);
      await pass(2_000);
      expect((await stored('a')).timing).toEqual(TEN);
      expect((await stored('a')).leftMs).toBeLessThanOrEqual(30_000);
    });

    it('[PACE-4] [PACE-11] nothing else does: neither its rhythm, nor another interval', async () => {
      const agent = await shortened();
      fleet.pacing.acknowledged(agent.session, TWENTY.intervalMs);
      await pass(200_000);
      expect(agent.session.lastBeatAt).toBeGreaterThan(clock.now() - 11_000);
      expect(await stored('a')).toMatchObject({ timing: TWENTY, status: 'online', seq: 1 });
    });

    it('[PACE-4] a heartbeat that the shorter timeout would end is waited for', async () => {
      const agent = await shortened();
      beating.delete(agent);
      await pass(agent.session.lastBeatAt + 15_000 - clock.now());
      fleet.pacing.acknowledged(agent.session, TEN.intervalMs);
      await pass(2_000);
      expect((await stored('a')).timing).toEqual(TWENTY);
      fleet.heartbeat(agent.session);
      await pass(2_000);
      expect((await stored('a')).timing).toEqual(TEN);
    });

    it('[PACE-11] one that was not asked for changes nothing', async () => {
      const agent = await register('a', { features });
      fleet.pacing.acknowledged(agent.session, 20_000);
      fleet.pacing.acknowledged(agent.session, TEN.intervalMs);
      await pass(5_000);
      expect([agent.session.timing, (await stored('a')).timing]).toEqual([TEN, TEN]);
    });

    it('[PACE-12] after a loss that the hub missed it is sent its timing again, and acknowledges it', async () => {
      const agent = await register('a', { features });
      await pass(200);
      store.fault = 'away';
      await pass(2_000);
      for (let shard = 0; shard < 2; shard += 1) memory.empty(shard);
      store.fault = 'none';
      await pass(40_000);
      expect([agent.link.told, (await stored('a')).timing]).toEqual([[TEN], LONGEST]);
      fleet.pacing.acknowledged(agent.session, TEN.intervalMs);
      await pass(12_000);
      expect(await stored('a')).toMatchObject({ timing: TEN, status: 'online' });
      expect(agent.link.told).toEqual([TEN]);
    });
  });

  it('[PACE-4] silence after the change is noticed by the shorter timeout', async () => {
    await crowd(195);
    await pass(30_000);
    const agent = await register('a');
    await crowd(0);
    await pass(200_000);
    expect((await stored('a')).timing).toEqual(TEN);
    beating.delete(agent);
    const lastAt = agent.session.lastBeatAt;
    await pass(29_000 - (clock.now() - lastAt));
    expect((await stored('a')).status).toBe('online');
    await pass(1_300);
    expect((await stored('a')).status).toBe('offline');
  });

  it('[PACE-4] a shorter timeout that may or may not have been written is not mistaken for the longer one', async () => {
    await crowd(195);
    await pass(30_000);
    const agent = await register('a');
    await crowd(0);
    // The first write is done and its answer lost; after it the store is out of reach.
    const { retime } = store;
    let lost = 0;
    store.retime = async (...asked) => {
      if (lost === 0) await retime(...asked);
      lost += 1;
      throw new StoreAwayError('the answer was lost');
    };
    for (let passed = 0; passed < 300_000 && lost === 0; passed += 500) await pass(500);
    expect([agent.session.sent, agent.session.timing]).toEqual([TEN, TWENTY]);
    expect((await stored('a')).timing).toEqual(TEN);
    store.retime = async () => {
      throw new StoreAwayError('out of reach');
    };
    await crowd(195);
    await pass(90_000);
    expect([agent.session.sent, (await stored('a')).timing]).toEqual([TEN, TEN]);
    store.retime = retime;
    await pass(40_000);
    expect([agent.session.sent, (await stored('a')).timing]).toEqual([TWENTY, TWENTY]);
  });

  it('[PACE-5] a registration is answered with the interval of the moment, also by a hub that just started', async () => {
    await crowd(195);
    await pass(30_000);
    expect((await register('a')).reply.heartbeat).toEqual(TWENTY);
    const other = await hub('hub-b');
    const { reply } = await register('b', { on: other });
    expect([reply.heartbeat, reply.node.heartbeat]).toEqual([TWENTY, TWENTY]);
    expect((await stored('b')).leftMs).toBeGreaterThan(59_000);
  });

  it('[PACE-5] a second register is answered with it too, and one that asks for another interval gets that', async () => {
    const agent = await register('a');
    await crowd(195);
    await pass(60_000);
    const again = async (extra: { heartbeat?: { intervalMs: number } } = {}) => {
      const message = registerMessage(
        { nodeId: 'a' },
        { instanceId: agent.session.record.instanceId, ...extra },
      );
      const outcome = fleet.registrar.update(agent.session, message);
      await clock.advance(200);
      const answer = await outcome;
      return answer.kind === 'updated' ? answer.reply : undefined;
    };
    expect((await again())?.heartbeat).toEqual(TWENTY);
    expect((await stored('a')).seq).toBe(1);
    const asked = await again({ heartbeat: { intervalMs: 40_000 } });
    expect(asked).toMatchObject({ heartbeat: { intervalMs: 40_000, timeoutMs: 120_000 }, node: { seq: 2 } });
    expect((await stored('a')).timing).toEqual(asked?.heartbeat);
    expect((await again())?.heartbeat).toEqual(TWENTY);
    expect((await stored('a')).timing).toEqual(TWENTY);
  });

  it('[PACE-4] a shorter interval that an agent asks for counts when it is told, or not at all', async () => {
    const agent = await register('a', { askedMs: 40_000 });
    const slow = { intervalMs: 40_000, timeoutMs: 120_000 };
    const ask = async () => {
      const message = registerMessage({ nodeId: 'a' }, { instanceId: agent.session.record.instanceId });
      const outcome = fleet.registrar.update(agent.session, message);
      await clock.advance(200);
      return outcome;
    };
    const { commit } = store;
    store.commit = async () => {
      throw new StoreAwayError('out of reach');
    };
    expect(await ask()).toEqual({ kind: 'busy' });
    expect([agent.session.timing, agent.session.sent, (await stored('a')).timing]).toEqual([
      ...[slow, slow, slow],
    ]);
    store.commit = commit;
    expect(await ask()).toMatchObject({ kind: 'updated', reply: { heartbeat: TEN, node: { seq: 2 } } });
    expect((await stored('a')).timing).toEqual(TEN);
  });

  it('[PACE-6] agents are told one after the other over an interval, without a version or an event', async () => {
    const other = await hub('hub-b');
    const agents: TestAgent[] = [];
    for (let n = 0; n < 40; n += 1) agents.push(await register(`n-${n}`));
    const before = await fleet.history({ limit: 1_000 });
    const told = () => agents.filter(({ link }) => link.told.length > 0).length;
    await crowd(150);
    const steps: number[] = [];
    for (let second = 0; second < 60; second += 1) {
      await pass(1_000);
      steps.push(told());
    }
    expect(steps.at(-1)).toBe(40);
    const each = steps.map((count, index) => count - (steps[index - 1] ?? 0));
    expect(Math.max(...each)).toBeLessThanOrEqual(4);
    expect(await fleet.history({ limit: 1_000 })).toEqual(before);
    expect((await stored('n-0')).seq).toBe(1);
    expect(fleet.view.get('n-0')?.node.heartbeat).toEqual(TWENTY);
    expect(other.view.get('n-0')?.node.heartbeat).toEqual(TEN);
  });

  it('[PACE-7] a hub that dies, and whose agents come back elsewhere, changes nothing', async () => {
    await crowd(100);
    await pass(60_000);
    expect(fleet.pacing.timing).toEqual(TEN);
    // Its lease stands for half the timeout, while its agents register here.
    for (let n = 0; n < 100; n += 1) await register(`n-${n}`);
    await pass(10_000);
    await memoryStore().dropLease('crowd');
    await pass(60_000);
    expect(fleet.pacing.timing).toEqual(TEN);
  });

  it('[PACE-8] a change that another hub makes of an older record does not bring the older timing back', async () => {
    const agent = await register('a');
    await pass(200);
    const other = await hub('hub-b');
    await crowd(194);
    await pass(60_000);
    expect(agent.link.told).toEqual([TWENTY]);
    const stale = other.view.get('a');
    if (!stale) throw new Error('hub-b has not heard of the node');
    expect(stale.node.heartbeat).toEqual(TEN);
    const looker = memoryStore();
    await looker.attach(looker.shardOf('a'));
    const node = { ...stale.node, seq: 2, location: 'elsewhere' };
    const outcome = await looker.commit({
      ...{ id: 'a', expected: 1, record: { ...stale, node, changeId: 'by-another-hub' } },
      event: {
        ...{ seq: 2, type: 'updated', nodeId: 'a', at: stale.node.createdAt, from: 'online', to: 'online' },
        ...{ reason: 'registered', evidence: {}, node },
      },
      ...{ removed: false, onlyIfSilent: false, heartbeat: 'keep', deadline: 'keep' },
    });
    expect(outcome).toBe('done');
    await pass(500);
    expect(agent.session.timing).toEqual(TWENTY);
    await pass(40_000);
    expect(await stored('a')).toMatchObject({ timing: TWENTY, seq: 2, status: 'online' });
    expect(agent.session.timing).toEqual(TWENTY);
    expect(fleet.view.get('a')?.node).toMatchObject({ heartbeat: TWENTY, location: 'elsewhere' });
  });

  it('[PACE-8] after a loss of data the timing of live sessions is put back, and no node is expired by another', async () => {
    await register('a');
    const other = await hub('hub-b');
    await crowd(194);
    await pass(60_000);
    expect((await stored('a')).timing).toEqual(TWENTY);
    for (let shard = 0; shard < 2; shard += 1) memory.empty(shard);
    await pass(1_000);
    await crowd(194);
    expect((await stored('a')).timing).toEqual(TWENTY);
    expect(fleet.view.get('a')?.node.heartbeat).toEqual(TWENTY);
    await pass(100_000);
    expect(await stored('a')).toMatchObject({ timing: TWENTY, status: 'online' });
    expect(other.view.get('a')?.node.status).toBe('online');
  });

  it('[PACE-8] where another hub was first to put a node back, the hub that holds its socket corrects the timing', async () => {
    await register('a');
    await hub('hub-b');
    await crowd(194);
    await pass(60_000);
    store.fault = 'away';
    for (let shard = 0; shard < 2; shard += 1) memory.empty(shard);
    await pass(500);
    expect((await stored('a')).timing).toEqual(LONGEST);
    store.fault = 'none';
    await pass(1_000);
    expect((await stored('a')).timing).toEqual(TWENTY);
    expect(fleet.view.get('a')?.node.heartbeat).toEqual(TWENTY);
  });

  it('[PACE-8] a hub puts back nodes of another with the longest timeout that it may have given', async () => {
    const other = await hub('hub-b');
    await register('a', { on: other });
    await pass(200);
    store.fault = 'away';
    const ends = other.stop();
    await pass(500);
    await ends;
    fleets.splice(fleets.indexOf(other), 1);
    for (let shard = 0; shard < 2; shard += 1) memory.empty(shard);
    store.fault = 'none';
    await pass(1_000);
    expect((await stored('a')).timing).toEqual(LONGEST);
  });

  // Found by test/model: of the newer registration nothing was left, the agent had 60 s and was offline after 30.
  it('[PACE-8] a hub that missed where its agent went puts back its older session with the longest timeout', async () => {
    const agent = await register('a');
    await pass(200);
    beating.delete(agent);
    store.fault = 'away';
    await crowd(200);
    const other = testFleet(new MemoryStore(memory), clock, 'hub-b', TIMING, {
      ...{ pace: { longestMs: 60_000, perSecond: 10 }, view: new NoView(clock, 2) },
    });
    await other.start();
    fleets.push(other);
    const moved = await register('a', { on: other });
    expect(knows(moved)).toEqual(TWENTY);
    beating.delete(moved);
    await pass(2_000);
    await other.closed(moved.session, { goodbye: false, code: 1006 });
    for (let shard = 0; shard < 2; shard += 1) memory.empty(shard);
    await crowd(0);
    store.fault = 'none';
    await pass(55_000);
    expect(await stored('a')).toMatchObject({ timing: LONGEST, status: 'online' });
    await pass(130_000);
    expect(await stored('a')).toMatchObject({ status: 'offline' });
  });

  // Found by test/model: the agent had come back to a hub that died with the data, with a longer timing.
  it('[PACE-8] a hub puts back an unreachable node with the longest timeout, and others as they were', async () => {
    const agent = await register('a');
    beating.delete(agent);
    const stopped = await register('b');
    beating.delete(stopped);
    const byRequests = fleet.httpAgents.register(registerMessage({ nodeId: 'h' }), { remoteAddress: 'x' });
    await fleet.closed(agent.session, { goodbye: false, code: 1006 });
    await fleet.closed(stopped.session, { goodbye: true, code: 1000 });
    await pass(200);
    await byRequests;
    for (let shard = 0; shard < 2; shard += 1) memory.empty(shard);
    await pass(1_000);
    expect(await stored('a')).toMatchObject({ timing: LONGEST, status: 'unreachable' });
    expect(await stored('b')).toMatchObject({ timing: TEN, status: 'offline' });
    expect(await stored('h')).toMatchObject({ timing: TEN, status: 'online' });
  });

  it('[PACE-8] a hub that missed a while before a loss takes the shorter timing of agents that beat there', async () => {
    const agent = await register('a');
    await pass(200);
    store.fault = 'away';
    await pass(2_000);
    for (let shard = 0; shard < 2; shard += 1) memory.empty(shard);
    store.fault = 'none';
    await pass(1_000);
    expect((await stored('a')).timing).toEqual(LONGEST);
    await pass(40_000);
    expect(await stored('a')).toMatchObject({ timing: TEN, status: 'online' });
    expect([agent.session.timing, agent.link.told]).toEqual([TEN, []]);
  });

  it('[PACE-9] agents that beat by requests keep their interval', async () => {
    await crowd(195);
    await pass(30_000);
    const outcome = fleet.httpAgents.register(registerMessage({ nodeId: 'h' }), {
      remoteAddress: '192.0.2.9',
    });
    await clock.advance(200);
    expect(await outcome).toMatchObject({ heartbeat: TEN });
    const beat = fleet.httpAgents.heartbeat({ id: 'h', remoteAddress: () => '192.0.2.9' });
    await clock.advance(200);
    expect(await beat).toMatchObject({ kind: 'taken', nextInMs: 10_000 });
  });
});
