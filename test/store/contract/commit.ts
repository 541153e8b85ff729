import { describe, expect, it } from 'vitest';
import { manyFacts, registration, removal, statusChange } from '../../support/fixtures.ts';
import { type CreateFleet, done, freshFleet, lastBeat, recordsOf, untilSilent, wholeLog } from './setting.ts';

/** Reading and committing. */
export function commitContract(create: CreateFleet): void {
  describe('read and commit', () => {
    const setting = freshFleet(create);

    it('holds nothing of a node that never was', async () => {
      expect(await setting().store.read('nobody')).toEqual({ kind: 'nothing' });
    });

    it('gives back a record as it was committed, whatever it says', async () => {
      const { store } = setting();
      const record = await done(store, registration({ id: 'a', facts: manyFacts }));
      expect(await store.read('a')).toEqual({ kind: 'node', record, restored: false });
    });

    it('takes names of the language for ids', async () => {
      const { store } = setting();
      for (const id of [
        'constructor',
        'toString',
        'hasOwnProperty',
        'prototype',
        'session',
        'event',
        'nodeId',
      ]) {
        expect(await store.read(id)).toEqual({ kind: 'nothing' });
        const record = await done(store, registration({ id }));
        expect(await store.read(id)).toEqual({ kind: 'node', record, restored: false });
        expect((await wholeLog(store, store.shardOf(id))).at(-1)?.record.session).toBe(record.session);
        expect(await store.history({ id, limit: 5 })).toHaveLength(1);
      }
    });

    it('commits on the expected version only, and else changes nothing', async () => {
      const { store } = setting();
      const change = registration({ id: 'a' });
      const first = await done(store, change);
      const second = await done(
        store,
        statusChange(first, { status: 'unreachable', reason: 'connection_lost' }),
      );
      expect(await store.commit(registration({ id: 'a' }))).toBe('conflict');
      expect(await store.commit(statusChange(first, { status: 'offline', reason: 'agent_stopped' }))).toBe(
        'conflict',
      );
      expect(await store.commit(registration({ id: 'a', expected: 7 }))).toBe('conflict');
      expect(await store.commit(registration({ id: 'b', expected: 1 }))).toBe('conflict');
      expect(await store.read('a')).toEqual({ kind: 'node', record: second, restored: false });
      expect(await store.read('b')).toEqual({ kind: 'nothing' });
      expect(await wholeLog(store, store.shardOf('a'))).toHaveLength(2);
    });

    it('lets one of several commits on the same version win', async () => {
      const { store, fleet } = setting();
      const stores = [store, await fleet.join(), await fleet.join()];
      for (let round = 0; round < 20; round += 1) {
        const changes = stores.map(() => registration({ id: `race-${round}` }));
        const outcomes = await Promise.all(
          stores.map((one, index) => one.commit(changes[index] ?? registration({ id: 'x' }))),
        );
        expect(outcomes.toSorted()).toEqual(['conflict', 'conflict', 'done']);
        const winner = changes[outcomes.indexOf('done')];
        expect(await store.read(`race-${round}`)).toMatchObject({ record: winner?.record });
      }
    });

    it('takes a repeated change for done, once', async () => {
      const { store, fleet } = setting();
      const other = await fleet.join();
      const change = registration({ id: 'a' });
      await done(store, change);
      await done(store, change);
      await done(other, change);
      expect(await wholeLog(store, store.shardOf('a'))).toHaveLength(1);
      await done(store, statusChange(change.record, { status: 'offline', reason: 'agent_stopped' }));
      expect(await store.commit(change)).toBe('conflict');
    });

    it('spares a node that still beats where only a silent one is meant', async () => {
      const { store } = setting();
      const record = await done(store, registration({ id: 'a', timeoutMs: 250 }));
      await done(store, { ...registration({ id: 'b' }), heartbeat: 'keep' });
      const expiry = statusChange(record, {
        status: 'offline',
        reason: 'heartbeat_timeout',
        onlyIfSilent: true,
      });
      expect(await store.commit(expiry)).toBe('still-beating');
      expect(await store.read('a')).toMatchObject({ record });
      await untilSilent(setting(), 'a');
      expect(await store.commit(expiry)).toBe('done');
      expect(await store.read('a')).toMatchObject({ record: expiry.record });
    });

    it('sets, keeps and clears the heartbeat', async () => {
      const { store } = setting();
      const first = await done(store, { ...registration({ id: 'a' }), heartbeat: 'keep' });
      expect(await lastBeat(store, 'a')).toBeUndefined();
      const second = await done(
        store,
        statusChange(first, {
          status: 'degraded',
          reason: 'condition_failed',
          heartbeat: { lastsMs: 30_000 },
        }),
      );
      expect(await lastBeat(store, 'a')).toMatchObject({ stats: {} });
      const third = await done(
        store,
        statusChange(second, { status: 'online', reason: 'condition_cleared' }),
      );
      expect(await lastBeat(store, 'a')).toBeDefined();
      await done(
        store,
        statusChange(third, { status: 'offline', reason: 'agent_stopped', heartbeat: 'clear' }),
      );
      expect(await lastBeat(store, 'a')).toBeUndefined();
    });

    it('keeps the last stats when the heartbeat is set anew', async () => {
      const { store } = setting();
      const record = await done(store, registration({ id: 'a' }));
      await store.beat(store.shardOf('a'), [
        { id: 'a', session: record.session, ttlMs: 30_000, stats: '{"cpuPercent":7}' },
      ]);
      await done(store, registration({ id: 'a', expected: 1 }));
      expect(await lastBeat(store, 'a')).toMatchObject({ stats: { cpuPercent: 7 } });
    });

    it('leaves a tombstone, from which versions go on', async () => {
      const { store } = setting();
      const record = await done(store, registration({ id: 'a' }));
      const gone = removal(record);
      await done(store, gone);
      expect(await store.read('a')).toEqual({ kind: 'gone', tombstone: { id: 'a', version: 2 } });
      expect(await recordsOf(store, store.shardOf('a'))).toEqual([]);
      expect(await lastBeat(store, 'a')).toBeUndefined();
      expect(await store.commit(registration({ id: 'a' }))).toBe('conflict');
      expect(await store.commit(registration({ id: 'a', expected: 1 }))).toBe('conflict');
      const again = await done(store, registration({ id: 'a', expected: 2 }));
      expect(await store.read('a')).toEqual({ kind: 'node', record: again, restored: false });
      const log = await wholeLog(store, store.shardOf('a'));
      expect(log.map(({ event }) => [event.seq, event.type])).toEqual([
        [1, 'registered'],
        [2, 'removed'],
        [3, 'registered'],
      ]);
      expect(log[1]?.event).toEqual(gone.event);
    });
  });
}
