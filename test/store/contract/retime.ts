import { describe, expect, it } from 'vitest';
import { lostNode } from '../../../server/rules/restore.ts';
import { registration, removal, statusChange } from '../../support/fixtures.ts';
import {
  attachAll,
  type CreateFleet,
  done,
  freshFleet,
  idsOfOneShard,
  lastBeat,
  news,
  recordsOf,
  type Setting,
  untilSilent,
  wholeLog,
} from './setting.ts';

const LONGER = { intervalMs: 20_000, timeoutMs: 60_000 };

/** Another timing of a live session, outside of any change. */
export function retimeContract(create: CreateFleet): void {
  describe('retime', () => {
    const setting = freshFleet(create);

    /** What every verb that reads a node says of its timing. */
    const timingsOf = async ({ store }: Setting, id: string) => {
      const stored = await store.read(id);
      const records = await recordsOf(store, store.shardOf(id));
      return [
        stored.kind === 'node' ? stored.record.node.heartbeat : undefined,
        records.find(({ node }) => node.id === id)?.node.heartbeat,
      ];
    };

    it('stands in the record, without a new version and without an event', async () => {
      const { store } = setting();
      const { session } = await done(store, registration({ id: 'a' }));
      const shard = store.shardOf('a');
      const log = await wholeLog(store, shard);
      const retimed = await store.retime(shard, [{ id: 'a', session, timing: LONGER, ttlMs: 60_000 }]);
      expect(retimed).toEqual({ refused: [] });
      expect(await timingsOf(setting(), 'a')).toEqual([LONGER, LONGER]);
      expect(await store.read('a')).toMatchObject({ record: { node: { seq: 1 } } });
      expect(await wholeLog(store, shard)).toEqual(log);
    });

    it('outlives every change of the same session, whatever timing its record brings', async () => {
      const { store } = setting();
      const record = await done(store, registration({ id: 'a' }));
      const shard = store.shardOf('a');
      await store.retime(shard, [{ id: 'a', session: record.session, timing: LONGER, ttlMs: 60_000 }]);
      const stale = statusChange(record, { status: 'degraded', reason: 'condition_failed' });
      expect(stale.record.node.heartbeat).not.toEqual(LONGER);
      await done(store, stale);
      expect(await timingsOf(setting(), 'a')).toEqual([LONGER, LONGER]);
    });

    it('ends with its session: the next registration brings its own', async () => {
      const { store } = setting();
      const first = await done(store, registration({ id: 'a', session: 'first' }));
      const shard = store.shardOf('a');
      await store.retime(shard, [{ id: 'a', session: 'first', timing: LONGER, ttlMs: 60_000 }]);
      const next = await done(store, registration({ id: 'a', session: 'next', expected: first.node.seq }));
      expect(await timingsOf(setting(), 'a')).toEqual([next.node.heartbeat, next.node.heartbeat]);
      const old = { id: 'a', session: 'first', timing: LONGER, ttlMs: 60_000 };
      expect(await store.retime(shard, [old])).toEqual({ refused: ['a'] });
      expect(await timingsOf(setting(), 'a')).toEqual([next.node.heartbeat, next.node.heartbeat]);
    });

    it('lengthens the heartbeat that stands, and keeps its stats and when it was', async () => {
      const { store, fleet } = setting();
      const { session } = await done(store, registration({ id: 'a', timeoutMs: 400 }));
      const shard = store.shardOf('a');
      await store.beat(shard, [{ id: 'a', session, ttlMs: 400, stats: '{"cpuPercent":1}' }]);
      const before = await lastBeat(store, 'a', 400);
      const timing = { intervalMs: 10_000, timeoutMs: 30_000 };
      await store.retime(shard, [{ id: 'a', session, timing, ttlMs: 30_000 }]);
      await fleet.elapse(500);
      expect((await news(store, shard)).silent).toEqual([]);
      // Asked with the old timeout, as a hub does that has not heard of the new one.
      const after = await lastBeat(store, 'a', 400);
      expect(after?.stats).toEqual({ cpuPercent: 1 });
      // It aged by the 500 ms that passed since, and by nothing else.
      expect((after?.agoMs ?? 0) - (before?.agoMs ?? 0)).toBeGreaterThanOrEqual(300);
      expect((after?.agoMs ?? 0) - (before?.agoMs ?? 0)).toBeLessThan(10_000);
    });

    it('shortens the heartbeat that stands, and looks at it when it ends', async () => {
      const { store, fleet } = setting();
      const { session } = await done(store, registration({ id: 'a', timeoutMs: 60_000 }));
      const shard = store.shardOf('a');
      const timing = { intervalMs: 100, timeoutMs: 300 };
      await store.retime(shard, [{ id: 'a', session, timing, ttlMs: 300 }]);
      await untilSilent(setting(), 'a');
      await fleet.elapse(5);
      expect((await news(store, shard)).silent).toMatchObject([{ record: { node: { heartbeat: timing } } }]);
    });

    it('leaves the heartbeat alone where it is told to, and makes none where there is none', async () => {
      const { store } = setting();
      const [a = '', b = ''] = idsOfOneShard(store, 2);
      const shard = store.shardOf(a);
      const beats = await done(store, registration({ id: a }));
      const quiet = await done(store, { ...registration({ id: b }), heartbeat: 'clear', deadline: 'never' });
      const timing = { intervalMs: 1_000, timeoutMs: 3_000 };
      await store.retime(shard, [
        { id: a, session: beats.session, timing, ttlMs: 0 },
        { id: b, session: quiet.session, timing, ttlMs: 3_000 },
      ]);
      // 30 s were left, so the heartbeat of a node that may be silent for 3 s seems to be of 27 s from now.
      expect((await lastBeat(store, a))?.agoMs).toBeLessThan(-20_000);
      expect(await lastBeat(store, b)).toBeUndefined();
      expect(await news(store, shard)).toMatchObject({ silent: [], examined: 0 });
    });

    it('never has an offline node looked at, whose heartbeat came back a moment ago', async () => {
      const { store, fleet } = setting();
      const record = await done(store, registration({ id: 'a' }));
      const shard = store.shardOf('a');
      const gone = statusChange(record, { status: 'offline', reason: 'heartbeat_timeout' });
      await done(store, { ...gone, heartbeat: 'clear', deadline: 'never' });
      await store.beat(shard, [{ id: 'a', session: record.session, ttlMs: 30_000 }]);
      const timing = { intervalMs: 10, timeoutMs: 30 };
      await store.retime(shard, [{ id: 'a', session: record.session, timing, ttlMs: 30 }]);
      await fleet.elapse(50);
      expect(await news(store, shard)).toMatchObject({ silent: [], examined: 0 });
    });

    it('names those for which another session speaks, and does the others', async () => {
      const { store } = setting();
      const [a = '', b = '', c = '', d = ''] = idsOfOneShard(store, 4);
      const shard = store.shardOf(a);
      const { session } = await done(store, registration({ id: a }));
      await done(store, registration({ id: b }));
      await done(store, removal(await done(store, registration({ id: c }))));
      const each = { timing: LONGER, ttlMs: 60_000 };
      const answer = await store.retime(shard, [
        { id: d, session: 'x', ...each },
        { id: c, session: 'x', ...each },
        { id: b, session: 'x', ...each },
        { id: a, session, ...each },
      ]);
      expect(answer).toEqual({ refused: [d, c, b] });
      expect(await timingsOf(setting(), a)).toEqual([LONGER, LONGER]);
      expect(await timingsOf(setting(), b)).not.toContainEqual(LONGER);
      expect(await store.retime(shard, [])).toEqual({ refused: [] });
    });

    it('takes a node that is called like an answer', async () => {
      const { store } = setting();
      const answer = await store.retime(store.shardOf('epoch'), [
        { id: 'epoch', session: 'x', timing: LONGER, ttlMs: 0 },
      ]);
      expect(answer).toEqual({ refused: ['epoch'] });
    });

    it('takes thousands at once', async () => {
      const { store } = setting();
      const ids = idsOfOneShard(store, 60);
      const shard = store.shardOf(ids[0] ?? '');
      const sessions = await Promise.all(ids.map((id) => done(store, registration({ id }))));
      const retimings = Array.from({ length: 6_000 }, (_, n) => {
        const { node, session } = sessions[n % sessions.length] ?? { node: { id: 'x' }, session: 'x' };
        return { id: node.id, session, timing: { intervalMs: 1 + n, timeoutMs: 3 * (1 + n) }, ttlMs: 60_000 };
      });
      expect(await store.retime(shard, retimings)).toEqual({ refused: [] });
      for (const { node } of await recordsOf(store, shard))
        expect(node.heartbeat.intervalMs).toBeGreaterThan(5_900);
    });

    it('is answered by the loss of data, and what is put back has the timing of whoever knew it', async () => {
      const { store, fleet } = setting();
      const record = await done(store, registration({ id: 'a' }));
      const shard = store.shardOf('a');
      const retiming = { id: 'a', session: record.session, timing: LONGER, ttlMs: 60_000 };
      await store.retime(shard, [retiming]);
      await fleet.loseAll();
      expect(await store.retime(shard, [retiming])).toBe('epoch');
      await attachAll(store);
      await store.restore(shard, [lostNode(record, Date.now())]);
      expect(await timingsOf(setting(), 'a')).toEqual([record.node.heartbeat, record.node.heartbeat]);
      expect(await store.retime(shard, [retiming])).toEqual({ refused: [] });
      expect(await timingsOf(setting(), 'a')).toEqual([LONGER, LONGER]);
    });

    it('stands too in what a restore finds stored', async () => {
      const { store } = setting();
      const record = await done(store, registration({ id: 'a' }));
      const shard = store.shardOf('a');
      await store.retime(shard, [{ id: 'a', session: record.session, timing: LONGER, ttlMs: 60_000 }]);
      const other = { ...record, changeId: 'another' };
      const [unmerged] = await store.restore(shard, [lostNode(other, Date.now())]);
      expect(unmerged?.stored).toMatchObject({ record: { node: { heartbeat: LONGER } } });
    });
  });
}
