import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Fleet } from '../../server/fleet/fleet.ts';
import { systemClock } from '../../server/runtime/clock.ts';
import { type Change, type CommitOutcome, StoreAwayError } from '../../server/store/fleet-store.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import { RedisStore } from '../../server/store/redis/redis-store.ts';
import { busyReason, readRetryAfterMs } from '../../shared/index.ts';
import { startApi, type TestApi } from '../http/test-api.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import {
  registerAgent,
  registerMessage,
  sendStats,
  type TestAgent,
  TestLink,
  testFleet,
} from '../support/test-fleet.ts';
import { TestHub } from '../support/test-hub.ts';

/** A store before which another hub always writes first. */
class ContestedStore extends MemoryStore {
  contested = false;
  away = false;
  commits = 0;

  override async commit(change: Change): Promise<CommitOutcome> {
    this.commits += 1;
    // A turn of the event loop, as with any store that is not in this process.
    await new Promise((resolve) => setImmediate(resolve));
    if (this.away) throw new StoreAwayError('cut off');
    return this.contested ? 'conflict' : super.commit(change);
  }
}

describe('the writes of one node take turns', () => {
  let clock: FakeClock;
  let store: ContestedStore;
  let fleet: Fleet;

  beforeEach(async () => {
    clock = new FakeClock();
    store = new ContestedStore(new MemoryFleet(clock, 2));
    fleet = testFleet(store, clock);
    await fleet.start();
  });
  afterEach(async () => {
    store.away = false;
    const stopped = fleet.stop();
    await passing(stopped);
  });

  /** Lets time pass, in this process and by the clock, until something is done. */
  async function passing<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const ended = work.finally(() => {
      done = true;
    });
    ended.catch(() => {});
    while (!done) {
      await new Promise((resolve) => setImmediate(resolve));
      await clock.advance(5);
    }
    return ended;
  }

  const message = () => registerMessage({ nodeId: 'a' }, { instanceId: randomUUID() });
  const history = async () => (await fleet.history({ id: 'a', limit: 100 })).reverse();

  it('[REGQ-1] registrations of one node at once are each taken, in their order, and the last speaks for it', async () => {
    const agents = await passing(
      Promise.all(Array.from({ length: 20 }, () => registerAgent(fleet, message()))),
    );
    const seqs = agents.map(({ reply }) => reply.node.seq);
    expect(seqs).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
    // Each in one go: nothing of this hub comes between them.
    expect(store.commits).toBe(20);
    const ended = agents.map(({ link }) => link.ended.map(({ code }) => code));
    expect(ended).toEqual([...Array.from({ length: 19 }, () => [4409]), []]);
    expect(fleet.sessions.get('a')?.session).toBe(agents[19]?.session.session);
  });

  it('[REGQ-2] updates, conditions, closes and removals of one node come one after the other, none is lost', async () => {
    const { session } = await passing(registerAgent(fleet, message()));
    const before = store.commits;
    const facts = (n: number) => ({ ...message(), node: { ...message().node, location: `rack-${n}` } });
    const updates = [1, 2, 3, 4].map((n) => fleet.registrar.update(session, facts(n)));
    sendStats(fleet, session, { conditions: [{ type: 'disk', status: 'fail' }] });
    const closed = fleet.closed(session, { goodbye: false, code: 1006 });
    const removal = fleet.removals.remove('a', { reason: 'removed_by_operator' });
    expect(await passing(Promise.all(updates))).toMatchObject(updates.map(() => ({ kind: 'updated' })));
    await passing(closed);
    expect(await passing(removal)).toBe('removed');
    expect((await history()).map(({ type, reason }) => `${type} ${reason}`)).toEqual([
      'registered registered',
      ...updates.map(() => 'updated registered'),
      'status condition_failed',
      'status connection_lost',
      'removed removed_by_operator',
    ]);
    expect(store.commits - before).toBe(7);
    expect((await passing(registerAgent(fleet, message()))).reply.node.seq).toBe(9);
  });

  it('[REGQ-4] contention that does not end is told as what it is, and nobody takes it for an outage', async () => {
    const { session } = await passing(registerAgent(fleet, message()));
    store.contested = true;
    const tries = await passing(
      Promise.all([
        fleet.registrar.register(message(), new TestLink()),
        fleet.httpAgents.register(message(), { remoteAddress: '192.0.2.1' }),
        fleet.registrar.update(session, { ...message(), node: { ...message().node, location: 'x' } }),
        fleet.deregister(session),
      ]),
    );
    expect(tries).toEqual([{ kind: 'contended' }, 'contended', { kind: 'contended' }, 'contended']);
    expect(session.leaving).toBe(false);
    expect(fleet.state.state).toBe('live');
    store.contested = false;
    expect(await passing(fleet.deregister(session))).toBe('removed');
  });

  it('[REGQ-5] what waits for one node is bounded', async () => {
    const outcomes = await passing(
      Promise.all(Array.from({ length: 200 }, () => fleet.registrar.register(message(), new TestLink()))),
    );
    const kinds = outcomes.map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'registered')).toHaveLength(65);
    expect(kinds.filter((kind) => kind === 'contended')).toHaveLength(135);
    // So many changes of one node are held back for a while.
    await clock.advance(60_000);
    await passing(registerAgent(fleet, message()));
  });

  it('[REGQ-5] where the store goes away, those that wait fail with the one that was under way', async () => {
    await passing(registerAgent(fleet, message()));
    store.away = true;
    const before = store.commits;
    const refused = Promise.all([1, 2, 3].map(() => fleet.registrar.register(message(), new TestLink())));
    expect(await passing(refused)).toEqual([1, 2, 3].map(() => ({ kind: 'busy' })));
    expect(store.commits - before).toBe(1);
    store.away = false;
    const again: TestAgent = await passing(registerAgent(fleet, message()));
    expect(again.reply.reregistered).toBe(true);
  });
});

describe('one node on several hubs of a real Redis', () => {
  let redis: RedisServer;
  const apis: TestApi[] = [];
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    await Promise.all(apis.splice(0).map((api) => api.close()));
  });
  afterAll(() => redis.stop());

  async function start(hubId: string): Promise<TestApi> {
    const stored = new RedisStore({ url: redis.url, clock: systemClock, keyPrefix: 'contended' });
    await stored.open();
    const api = await startApi({ stored, hubId });
    apis.push(api);
    return api;
  }

  it('[REGQ-3] many registrations at once on several hubs are all taken, and one session speaks for it', async () => {
    const hubs = [await start('hub-a'), await start('hub-b'), await start('hub-c')];
    const node = { nodeId: 'one', hostname: 'one' };
    // On a machine that is slow enough, a turn may not come while a hub tries, which is for four seconds: then again.
    const register = async (hub: TestApi | undefined) => {
      for (;;) {
        const began = performance.now();
        const answer = await hub?.call('POST', '/api/v1/nodes', { node });
        if (answer?.status !== 429) return answer;
        expect(performance.now() - began).toBeGreaterThan(3_900);
      }
    };
    const answers = await Promise.all(Array.from({ length: 30 }, (_, n) => register(hubs[n % 3])));
    const statuses = answers.map((answer) => answer?.status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(1);
    expect(statuses.filter((status) => status === 200)).toHaveLength(29);
    const seqs = answers.map((answer): number => answer?.body.node.seq);
    expect(seqs.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, n) => n + 1));
    const last = answers.find((answer) => answer?.body.node.seq === 30);
    expect(await hubs[0]?.store.read('one')).toMatchObject({ record: { session: last?.body.session } });
  });
});

describe('contention on the wires', () => {
  it('[REGQ-4] closes a socket that registers with 1013, answers `contended` on a live one, and 429 over HTTP', async () => {
    const store = new ContestedStore(new MemoryFleet(systemClock, 2));
    const hub = await TestHub.start({ store });
    try {
      const live = await hub.agent({ nodeId: 'a' });
      store.contested = true;
      const late = await hub.connect();
      const node = { hostname: 'a', nodeId: 'a' };
      late.send({ type: 'register', protocol: 1, instanceId: randomUUID(), node });
      const [{ code, reason }, error, answer] = await Promise.all([
        late.closed,
        live.exchange({ type: 'deregister' }),
        hub.fetch('/api/v1/nodes', {
          method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify({ node }),
        }),
      ]);
      expect(code).toBe(1013);
      expect(JSON.parse(reason)).toMatchObject({ code: 'contended' });
      expect(readRetryAfterMs(reason)).toBeGreaterThan(0);
      expect(readRetryAfterMs(busyReason(7, 'contended'))).toBe(7);
      expect(error).toMatchObject({ type: 'error', code: 'contended' });
      expect(answer.status).toBe(429);
      expect(answer.headers.get('Retry-After')).toBe('1');
      expect(await answer.json()).toMatchObject({ code: 'contended' });
      expect(hub.logged(/out of reach/)).toEqual([]);
    } finally {
      store.contested = false;
      await hub.stop();
    }
  });
});
