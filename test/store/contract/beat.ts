import { describe, expect, it } from 'vitest';
import { registration, removal, statusChange } from '../../support/fixtures.ts';
import {
  type CreateFleet,
  done,
  freshFleet,
  idsOfOneShard,
  lastBeat,
  news,
  positionOf,
  untilSilent,
} from './setting.ts';

/** Heartbeats and stats. */
export function beatContract(create: CreateFleet): void {
  describe('beat and stats', () => {
    const setting = freshFleet(create);
    const nothingSpecial = { refused: [], returned: [] };

    it('refreshes heartbeats so that nobody falls silent', async () => {
      const { store, fleet } = setting();
      const { session } = await done(store, registration({ id: 'a', timeoutMs: 600 }));
      const shard = store.shardOf('a');
      for (let round = 0; round < 6; round += 1) {
        await fleet.elapse(120);
        expect(await store.beat(shard, [{ id: 'a', session, ttlMs: 600 }])).toEqual(nothingSpecial);
      }
      expect((await news(store, shard)).silent).toEqual([]);
      expect(await lastBeat(store, 'a', 600)).toBeDefined();
      await untilSilent(setting(), 'a');
    });

    it('tells the time of the last heartbeat, by its age', async () => {
      const { store, fleet } = setting();
      const { session } = await done(store, registration({ id: 'a' }));
      const shard = store.shardOf('a');
      await store.beat(shard, [{ id: 'a', session, ttlMs: 30_000 }]);
      const fresh = (await lastBeat(store, 'a'))?.agoMs ?? -1;
      expect(fresh).toBeGreaterThanOrEqual(0);
      expect(fresh).toBeLessThan(10_000);
      await fleet.elapse(20);
      expect((await lastBeat(store, 'a'))?.agoMs).toBeGreaterThanOrEqual(fresh + 15);
      await store.beat(shard, [{ id: 'a', session, ttlMs: 20_000 }]);
      expect((await lastBeat(store, 'a'))?.agoMs).toBeGreaterThanOrEqual(10_000);
    });

    it('keeps the last stats over pings, until the heartbeat ends', async () => {
      const { store } = setting();
      const { session } = await done(store, registration({ id: 'a', timeoutMs: 300 }));
      const shard = store.shardOf('a');
      const beat = (stats?: string) =>
        store.beat(shard, [{ id: 'a', session, ttlMs: 300, ...(stats !== undefined && { stats }) }]);
      expect(await lastBeat(store, 'a', 300)).toMatchObject({ stats: {} });
      await beat('{"cpuPercent":1,"conditions":[]}');
      await beat('{"cpuPercent":2,"metrics":{"temp":1}}');
      await beat();
      expect(await lastBeat(store, 'a', 300)).toMatchObject({
        stats: { cpuPercent: 2, metrics: { temp: 1 } },
      });
      await untilSilent(setting(), 'a');
      await beat();
      expect(await lastBeat(store, 'a', 300)).toMatchObject({ stats: {} });
    });

    it('answers for some nodes of many shards, and is silent on those without a heartbeat', async () => {
      const { store } = setting();
      const ids = Array.from({ length: 40 }, (_, n) => `n${n}`);
      for (const id of ids) await done(store, registration({ id }));
      await done(store, { ...registration({ id: 'quiet' }), heartbeat: 'keep' });
      const asked = [...ids, 'quiet', 'unknown', 'constructor'].map((id) => ({ id, timeoutMs: 30_000 }));
      expect([...(await store.stats(asked)).keys()].toSorted()).toEqual(ids.toSorted());
      expect((await store.stats([])).size).toBe(0);
    });

    it('refuses a beat of another session, of a removed node and of an unknown one', async () => {
      const { store } = setting();
      const [a = '', b = '', c = ''] = idsOfOneShard(store, 3);
      const shard = store.shardOf(a);
      const first = await done(store, registration({ id: a, session: 'old' }));
      const second = await done(store, registration({ id: a, session: 'new', expected: first.node.seq }));
      await done(
        store,
        statusChange(second, { status: 'degraded', reason: 'condition_failed', heartbeat: 'clear' }),
      );
      await done(store, removal(await done(store, registration({ id: b }))));
      const stats = '{"cpuPercent":99}';
      expect(
        await store.beat(shard, [
          { id: a, session: 'old', ttlMs: 30_000, stats },
          { id: b, session: 'was', ttlMs: 30_000 },
          { id: c, session: 'who', ttlMs: 30_000 },
        ]),
      ).toEqual({
        refused: [
          {
            id: a,
            session: 'old',
            by: 'session',
            storedSession: 'new',
            storedSessionSeq: 2,
            storedVersion: 3,
          },
          { id: b, session: 'was', by: 'tombstone', storedVersion: 2 },
          { id: c, session: 'who', by: 'nothing' },
        ],
        returned: [],
      });
      for (const id of [a, b, c]) expect(await lastBeat(store, id)).toBeUndefined();
    });

    it('names nodes that beat although they are called unreachable or offline', async () => {
      const { store } = setting();
      const ids = idsOfOneShard(store, 4);
      const statuses = ['online', 'degraded', 'unreachable', 'offline'] as const;
      const beats = await Promise.all(
        ids.map(async (id, index) => {
          const record = await done(store, registration({ id }));
          const status = statuses[index] ?? 'online';
          await done(store, statusChange(record, { status, reason: 'connection_lost', heartbeat: 'clear' }));
          return { id, session: record.session, ttlMs: 30_000 };
        }),
      );
      const answer = await store.beat(store.shardOf(ids[0] ?? ''), beats);
      expect(answer).toEqual({ refused: [], returned: ids.slice(2) });
      for (const id of ids) expect(await lastBeat(store, id)).toBeDefined();
    });

    it('takes confirmed beats while nothing was logged of their nodes, and keeps their stats', async () => {
      const { store } = setting();
      const [a = '', b = ''] = idsOfOneShard(store, 2);
      const shard = store.shardOf(a);
      const sessions = [a, b].map(async (id) => (await done(store, registration({ id }))).session);
      const [ofA = '', ofB = ''] = await Promise.all(sessions);
      const followed = await positionOf(store, shard);
      const confirmed = (stats?: string) => [
        { id: a, session: ofA, ttlMs: 20_000, confirmed: true },
        { id: b, session: ofB, ttlMs: 20_000, confirmed: true, ...(stats !== undefined && { stats }) },
      ];
      expect(await store.beat(shard, confirmed('{"cpuPercent":7}'), followed)).toEqual(nothingSpecial);
      expect(await store.beat(shard, confirmed(), followed)).toEqual(nothingSpecial);
      expect(await lastBeat(store, b)).toMatchObject({ stats: { cpuPercent: 7 } });
      expect((await lastBeat(store, a))?.agoMs).toBeGreaterThanOrEqual(10_000);
    });

    it('looks at confirmed beats of nodes that were logged since, and at those without a heartbeat', async () => {
      const { store } = setting();
      const [a = '', b = '', c = '', d = ''] = idsOfOneShard(store, 4);
      const shard = store.shardOf(a);
      const register = (id: string) => done(store, registration({ id }));
      const [ofA, ofB, ofC, ofD] = await Promise.all([register(a), register(b), register(c), register(d)]);
      const followed = await positionOf(store, shard);
      await done(store, registration({ id: a, session: 'new', expected: ofA.node.seq }));
      await done(store, removal(ofB));
      await done(
        store,
        statusChange(ofC, { status: 'unreachable', reason: 'connection_lost', heartbeat: 'keep' }),
      );
      const beats = [ofA, ofB, ofC, ofD].map(({ node, session }) => ({
        ...{ id: node.id, session, ttlMs: 30_000, confirmed: true },
      }));
      expect(await store.beat(shard, beats, followed)).toMatchObject({
        refused: [
          { id: a, by: 'session', storedSession: 'new' },
          { id: b, by: 'tombstone' },
        ],
        returned: [c],
      });
      const gone = statusChange(ofD, { status: 'online', reason: 'reconnected', heartbeat: 'clear' });
      await done(store, gone);
      const later = await positionOf(store, shard);
      const last = { id: d, session: ofD.session, ttlMs: 30_000, confirmed: true };
      expect(await store.beat(shard, [last], later)).toEqual(nothingSpecial);
      expect(await lastBeat(store, d)).toBeDefined();
    });

    it('vouches for nothing without a position, with one of lost data, and over much news', async () => {
      const { store } = setting();
      const [a = '', ...others] = idsOfOneShard(store, 40);
      const shard = store.shardOf(a);
      const { node } = await done(store, registration({ id: a }));
      const followed = await positionOf(store, shard);
      for (const id of others) await done(store, registration({ id }));
      await done(store, registration({ id: a, session: 'new', expected: node.seq }));
      const old = [{ id: a, session: 'old', ttlMs: 30_000, confirmed: true }];
      const refused = { refused: [{ id: a, by: 'session', storedSession: 'new' }] };
      const elsewhere = { epoch: 'another', at: (await positionOf(store, shard)).at };
      for (const position of [undefined, followed, elsewhere])
        expect(await store.beat(shard, old, position)).toMatchObject(refused);
    });

    it('takes a batch of any size', async () => {
      const { store } = setting();
      const ids = idsOfOneShard(store, 120);
      const shard = store.shardOf(ids[0] ?? '');
      const message = 'é'.repeat(1_000);
      const conditions = ['a', 'b'].map((type) => ({ type, status: 'ok', message }));
      const stats = JSON.stringify({ conditions });
      const changes = ids.map((id) => registration({ id }));
      await Promise.all(changes.map((change) => done(store, change)));
      const beats = changes.map(({ id, record }) => ({ id, session: record.session, ttlMs: 30_000, stats }));
      const answer = await store.beat(shard, [...beats, { id: ids[0] ?? '', session: 'x', ttlMs: 1 }]);
      expect(answer).toMatchObject({ refused: [{ id: ids[0], by: 'session' }], returned: [] });
      expect(await store.beat(shard, [])).toEqual(nothingSpecial);
      const found = await store.stats(ids.map((id) => ({ id, timeoutMs: 30_000 })));
      expect(found.size).toBe(ids.length);
      expect(found.get(ids[119] ?? '')?.stats).toEqual({ conditions });
    });
  });
}
