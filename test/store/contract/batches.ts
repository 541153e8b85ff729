import { describe, expect, it } from 'vitest';
import type { Change } from '../../../server/store/fleet-store.ts';
import { registration, removal, statusChange } from '../../support/fixtures.ts';
import {
  type CreateFleet,
  done,
  freshFleet,
  idsOfOneShard,
  lastBeat,
  recordsOf,
  wholeLog,
} from './setting.ts';

/** Commits that are asked for together: each is as if it were alone. */
export function batchContract(create: CreateFleet): void {
  describe('commits together', () => {
    const setting = freshFleet(create);

    it('have each its own outcome', async () => {
      const { store } = setting();
      const [a = '', b = '', c = '', d = '', e = ''] = idsOfOneShard(store, 5);
      const [known, gone] = [await done(store, registration({ id: b })), registration({ id: c })];
      await done(store, removal(await done(store, gone)));
      const changes: Change[] = [
        registration({ id: a }),
        registration({ id: b }),
        statusChange(known, { status: 'offline', reason: 'heartbeat_timeout', onlyIfSilent: true }),
        registration({ id: c, expected: 2 }),
        registration({ id: d, expected: 3 }),
        registration({ id: e }),
        statusChange(known, { status: 'degraded', reason: 'condition_failed' }),
      ];
      const outcomes = await Promise.all(changes.map((change) => store.commit(change)));
      expect(outcomes).toEqual(['done', 'conflict', 'still-beating', 'done', 'conflict', 'done', 'done']);
      const written = changes.filter((_, index) => outcomes[index] === 'done');
      for (const { id, record } of written)
        expect(await store.read(id)).toEqual({ kind: 'node', record, restored: false });
      expect(await store.read(d)).toEqual({ kind: 'nothing' });
      for (const id of [a, c, e]) expect(await lastBeat(store, id)).toBeDefined();
      const log = await wholeLog(store, store.shardOf(a));
      expect(log.slice(-written.length).map(({ event }) => event)).toEqual(written.map(({ event }) => event));
    });

    it('may be of the same node, in their order', async () => {
      const { store } = setting();
      const first = registration({ id: 'a' });
      const second = statusChange(first.record, { status: 'degraded', reason: 'condition_failed' });
      const third = statusChange(second.record, { status: 'unreachable', reason: 'connection_lost' });
      const rival = registration({ id: 'a', expected: 1 });
      const asked = [first, second, third, rival, removal(third.record)];
      const outcomes = await Promise.all(asked.map((change) => store.commit(change)));
      expect(outcomes).toEqual(['done', 'done', 'done', 'conflict', 'done']);
      const log = await wholeLog(store, store.shardOf('a'));
      expect(log.map(({ event }) => event.seq)).toEqual([1, 2, 3, 4]);
      expect(await store.read('a')).toEqual({ kind: 'gone', tombstone: { id: 'a', version: 4 } });
    });

    it('are done once, however often they are asked for', async () => {
      const { store, fleet } = setting();
      const other = await fleet.join();
      const ids = idsOfOneShard(store, 30);
      const changes = ids.map((id) => registration({ id }));
      const ask = () =>
        Promise.all([...changes, ...changes].map((change, n) => (n % 2 ? store : other).commit(change)));
      expect(new Set(await ask())).toEqual(new Set(['done']));
      expect(new Set(await ask())).toEqual(new Set(['done']));
      expect(await wholeLog(store, store.shardOf(ids[0] ?? ''))).toHaveLength(ids.length);
    });

    it('may be many and large, over all shards', async () => {
      const { store } = setting();
      const note = 'é'.repeat(2_000);
      const changes = Array.from({ length: 700 }, (_, n) =>
        registration({ id: `many-${n}`, facts: { metadata: { note } } }),
      );
      const outcomes = await Promise.all(changes.map((change) => store.commit(change)));
      expect(new Set(outcomes)).toEqual(new Set(['done']));
      let records = 0;
      for (let shard = 0; shard < store.shards; shard += 1) records += (await recordsOf(store, shard)).length;
      expect(records).toBe(changes.length);
    });

    it('all hear of a data set that is another one', async () => {
      const { store, fleet } = setting();
      const changes = idsOfOneShard(store, 5).map((id) => registration({ id }));
      await fleet.loseAll();
      const outcomes = await Promise.all(changes.map((change) => store.commit(change)));
      expect(outcomes).toEqual(changes.map(() => 'epoch'));
    });
  });
}
