import { describe, expect, it } from 'vitest';
import {
  type FleetStore,
  LostDataError,
  type LostNode,
  type NodeRecord,
} from '../../../server/store/fleet-store.ts';
import {
  fleetNode,
  lostNode,
  nodeRecord,
  registration,
  removal,
  statusChange,
} from '../../support/fixtures.ts';
import {
  attachAll,
  type CreateFleet,
  done,
  freshFleet,
  idsOfOneShard,
  lastBeat,
  news,
  positionOf,
  recordsOf,
  wholeLog,
} from './setting.ts';

const tombstone = (id: string, version: number): LostNode => ({ kind: 'gone', tombstone: { id, version } });
const restoreOne = (store: FleetStore, lost: LostNode) =>
  store.restore(store.shardOf(lost.kind === 'node' ? lost.record.node.id : lost.tombstone.id), [lost]);

/** A record of some version that the hub knows. */
const known = (id: string, seq: number, overrides: Partial<NodeRecord['node']> = {}): NodeRecord =>
  nodeRecord(fleetNode({ id, seq, ...overrides }), { sessionSeq: 1 });

/** Losing data, and putting it back. */
export function lossContract(create: CreateFleet): void {
  describe('a store that lost its data', () => {
    const setting = freshFleet(create);

    it('says so with every verb, and changes nothing, until the new data set is attached', async () => {
      const { store, fleet } = setting();
      const shard = store.shardOf('a');
      const { session } = await done(store, registration({ id: 'a' }));
      const after = await positionOf(store, shard);
      await fleet.loseAll();
      expect(await store.commit(registration({ id: 'a' }))).toBe('epoch');
      expect(await store.beat(shard, [{ id: 'a', session, ttlMs: 30_000 }])).toBe('epoch');
      expect(await store.tick(shard, { after, limit: 10, overdue: { skip: 0, limit: 10 } })).toEqual({
        kind: 'epoch',
      });
      await expect(store.read('a')).rejects.toThrow(LostDataError);
      await expect(store.snapshot(shard)).rejects.toThrow(LostDataError);
      await expect(store.restore(shard, [lostNode(known('a', 1))])).rejects.toThrow(LostDataError);
      expect(await store.replay(shard, after, after, 10)).toBe('gap');
      expect(await lastBeat(store, 'a')).toBeUndefined();
      await store.attach(shard);
      expect(await store.read('a')).toEqual({ kind: 'nothing' });
      expect(await wholeLog(store, shard)).toEqual([]);
      expect(await store.tick(shard, { after, limit: 10, overdue: { skip: 0, limit: 10 } })).toEqual({
        kind: 'epoch',
      });
      await done(store, registration({ id: 'a' }));
    });

    it('is adopted by every hub as the same data set', async () => {
      const { store, fleet } = setting();
      const other = await fleet.join();
      await fleet.loseAll();
      await Promise.all([attachAll(store), attachAll(other)]);
      await done(store, registration({ id: 'a' }));
      const shard = store.shardOf('a');
      expect(await positionOf(other, shard)).toEqual(await positionOf(store, shard));
      expect(await other.read('a')).toEqual(await store.read('a'));
    });
  });

  describe('restore', () => {
    const setting = freshFleet(create);

    it('writes what is absent, flagged, with its event', async () => {
      const { store } = setting();
      const lost = lostNode(known('a', 5));
      if (lost.kind !== 'node') throw new Error('not a node');
      expect(await restoreOne(store, lost)).toEqual([]);
      expect(await store.read('a')).toEqual({ kind: 'node', record: lost.record, restored: true });
      expect(await wholeLog(store, store.shardOf('a'))).toEqual([
        { at: expect.any(String), event: lost.event, record: lost.record },
      ]);
      expect(await recordsOf(store, store.shardOf('a'))).toEqual([lost.record]);
      expect(await lastBeat(store, 'a')).toBeUndefined();
    });

    it('replaces a restored record by a later version, not by an older one, and no record twice', async () => {
      const { store } = setting();
      const ofOneSession = (seq: number) => ({ ...known('a', seq), session: 'the same' });
      const [older, middle, newer] = [ofOneSession(4), ofOneSession(5), ofOneSession(6)];
      for (const record of [middle, middle, older, newer, middle, newer])
        expect(await restoreOne(store, lostNode(record))).toEqual([]);
      expect(await store.read('a')).toEqual({ kind: 'node', record: newer, restored: true });
      const log = await wholeLog(store, store.shardOf('a'));
      expect(log.map(({ event }) => event.seq)).toEqual([5, 6]);
    });

    it('answers a restored record of another session that is no older, to be merged', async () => {
      const { store } = setting();
      const ofSession = (session: string) => nodeRecord(fleetNode({ id: 'a', seq: 5 }), { session });
      const [record, other] = [ofSession('first'), ofSession('second')];
      expect(await restoreOne(store, lostNode(record))).toEqual([]);
      const lost = lostNode(other);
      expect(await restoreOne(store, lost)).toEqual([
        { lost, stored: { kind: 'node', record, restored: true } },
      ]);
      expect(await store.read('a')).toMatchObject({ record });
    });

    it('answers a record that was committed since, to be merged', async () => {
      const { store } = setting();
      const record = await done(store, registration({ id: 'a' }));
      const lost = lostNode(known('a', 9));
      const stored = { kind: 'node', record, restored: false };
      expect(await restoreOne(store, lost)).toEqual([{ lost, stored }]);
      expect(await store.read('a')).toEqual(stored);
      expect(await restoreOne(store, lostNode(record))).toEqual([]);
    });

    it('takes a committed change of a restored record for no longer restored', async () => {
      const { store } = setting();
      const lost = known('a', 5);
      await restoreOne(store, lostNode(lost));
      const record = await done(
        store,
        statusChange(lost, { status: 'offline', reason: 'heartbeat_timeout' }),
      );
      expect(await store.read('a')).toEqual({ kind: 'node', record, restored: false });
      expect(await restoreOne(store, lostNode(known('a', 8)))).toMatchObject([{ stored: { record } }]);
    });

    it('leaves a newer tombstone alone, and replaces an older one', async () => {
      const { store } = setting();
      await done(store, removal(await done(store, registration({ id: 'a' }))));
      expect(await restoreOne(store, lostNode(known('a', 2)))).toEqual([]);
      expect(await store.read('a')).toMatchObject({ kind: 'gone', tombstone: { version: 2 } });
      const newer = known('a', 3);
      expect(await restoreOne(store, lostNode(newer))).toEqual([]);
      expect(await store.read('a')).toEqual({ kind: 'node', record: newer, restored: true });
    });

    it('puts back tombstones, without lowering them', async () => {
      const { store } = setting();
      for (const version of [4, 3, 6, 4])
        expect(await restoreOne(store, tombstone('a', version))).toEqual([]);
      expect(await store.read('a')).toEqual({ kind: 'gone', tombstone: { id: 'a', version: 6 } });
      expect(await wholeLog(store, store.shardOf('a'))).toEqual([]);
      await done(store, registration({ id: 'a', expected: 6 }));
    });

    it('answers a node that a tombstone contradicts, and leaves one that came after it', async () => {
      const { store } = setting();
      const record = await done(store, registration({ id: 'a' }));
      const lost = tombstone('a', 3);
      expect(await restoreOne(store, lost)).toEqual([
        { lost, stored: { kind: 'node', record, restored: false } },
      ]);
      const later = known('b', 5);
      await restoreOne(store, lostNode(later));
      expect(await restoreOne(store, tombstone('b', 4))).toEqual([]);
      expect(await store.read('b')).toMatchObject({ record: later });
    });

    it('gives a restored node its timeout to beat again, and an offline one no deadline', async () => {
      const { store, fleet } = setting();
      const [a = '', b = '', c = ''] = idsOfOneShard(store, 3);
      const shard = store.shardOf(a);
      const heartbeat = { intervalMs: 100, timeoutMs: 300 };
      const beating = known(a, 2, { heartbeat });
      const lost = [beating, known(b, 2, { heartbeat }), known(c, 2, { heartbeat, status: 'offline' })];
      expect(await store.restore(shard, lost.map(lostNode))).toEqual([]);
      expect(await news(store, shard)).toMatchObject({ silent: [], examined: 0 });
      await store.beat(shard, [{ id: a, session: beating.session, ttlMs: 60_000 }]);
      await fleet.elapse(310);
      expect(await news(store, shard)).toMatchObject({
        silent: [{ record: lost[1] }],
        examined: 2,
        putOff: 1,
      });
    });

    it('puts back a whole shard, however large, and answers what must be merged', async () => {
      const { store } = setting();
      const ids = idsOfOneShard(store, 300);
      const shard = store.shardOf(ids[0] ?? '');
      const contested = ids.filter((_, n) => n % 50 === 49);
      for (const id of contested) await done(store, registration({ id }));
      const metadata = { text: 'x'.repeat(2_000) };
      const lost = ids.map((id, n) =>
        n % 10 === 0 ? tombstone(id, 3) : lostNode(known(id, 3, { metadata })),
      );
      const unmerged = await store.restore(shard, lost);
      expect(unmerged.map((one) => one.stored.kind === 'node' && one.stored.record.node.id)).toEqual(
        contested,
      );
      for (const one of unmerged) expect(lost).toContain(one.lost);
      expect(await recordsOf(store, shard)).toHaveLength(270);
      expect(await store.read(ids[290] ?? '')).toMatchObject({ kind: 'gone', tombstone: { version: 3 } });
    });
  });
}
