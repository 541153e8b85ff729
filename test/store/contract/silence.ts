import { describe, expect, it } from 'vitest';
import { registration, removal, statusChange } from '../../support/fixtures.ts';
import {
  type CreateFleet,
  done,
  freshFleet,
  idsOfOneShard,
  type News,
  news,
  type Setting,
  untilSilent,
} from './setting.ts';

/** A tick's silent nodes. */
export function silenceContract(create: CreateFleet): void {
  describe('tick: who fell silent', () => {
    const setting = freshFleet(create);

    /** Ticks until the shard tells of so many silent nodes. */
    const untilTold = async ({ fleet, store }: Setting, shard: number, count: number): Promise<News> => {
      let last = await news(store, shard);
      await fleet.until(async () => {
        last = await news(store, shard);
        return last.silent.length >= count;
      });
      return last;
    };

    it('names a node whose heartbeat ran out, when it was due, again and again', async () => {
      const { store } = setting();
      const shard = store.shardOf('a');
      const record = await done(store, registration({ id: 'a', timeoutMs: 200 }));
      expect(await news(store, shard)).toMatchObject({ silent: [], examined: 0, putOff: 0 });
      const told = await untilTold(setting(), shard, 1);
      expect(told).toMatchObject({ silent: [{ record }], examined: 1, putOff: 0 });
      const overdueMs = told.silent[0]?.overdueMs ?? -1;
      expect(overdueMs).toBeGreaterThanOrEqual(0);
      expect(overdueMs).toBeLessThan(10_000);
      const [again] = (await news(store, shard)).silent;
      expect(again?.record).toEqual(record);
      expect(again?.overdueMs).toBeGreaterThanOrEqual(overdueMs);
    });

    it('puts off a node that still beats, to when its heartbeat ends', async () => {
      const { store, fleet } = setting();
      const shard = store.shardOf('a');
      const { session } = await done(store, registration({ id: 'a', timeoutMs: 60 }));
      await store.beat(shard, [{ id: 'a', session, ttlMs: 1_000 }]);
      await fleet.elapse(70);
      expect(await news(store, shard)).toMatchObject({ silent: [], examined: 1, putOff: 1 });
      expect(await news(store, shard)).toMatchObject({ silent: [], examined: 0, putOff: 0 });
      await untilTold(setting(), shard, 1);
    });

    it('puts off with it those that beat and would be due within the second, and says who really is next', async () => {
      const { store, fleet } = setting();
      const [due = '', soon = '', later = '', silent = ''] = idsOfOneShard(store, 4);
      const shard = store.shardOf(due);
      const beat = async (id: string, timeoutMs: number) => {
        const { session } = await done(store, registration({ id, timeoutMs }));
        await store.beat(shard, [{ id, session, ttlMs: 60_000 }]);
      };
      await Promise.all([beat(due, 60), beat(soon, 900), beat(later, 20_000)]);
      await fleet.elapse(70);
      const first = await news(store, shard);
      expect(first).toMatchObject({ silent: [], examined: 1, putOff: 1 });
      expect(first.nextDueInMs).toBeGreaterThan(10_000);
      expect(first.nextDueInMs).toBeLessThanOrEqual(20_000);

      await done(store, { ...registration({ id: silent }), heartbeat: 'clear', deadline: { afterMs: 500 } });
      const second = await news(store, shard);
      expect(second).toMatchObject({ silent: [], examined: 0 });
      expect(second.nextDueInMs).toBeLessThan(10_000);
      const told = await untilTold(setting(), shard, 1);
      expect(told).toMatchObject({ silent: [{ record: { node: { id: silent } } }], examined: 1 });
    });

    it('looks at a node when the last commit said, or never', async () => {
      const { store, fleet } = setting();
      const [a = '', b = '', c = '', d = ''] = idsOfOneShard(store, 4);
      const shard = store.shardOf(a);
      const quiet = { heartbeat: 'clear', deadline: { afterMs: 30 } } as const;
      const [first] = await Promise.all([
        done(store, { ...registration({ id: a }), ...quiet }),
        done(store, { ...registration({ id: b }), ...quiet, deadline: 'never' }),
        done(store, { ...registration({ id: c }), ...quiet, deadline: 'keep' }),
        done(store, { ...registration({ id: d }), ...quiet, deadline: { afterMs: 600_000 } }),
      ]);
      await fleet.elapse(40);
      expect(await news(store, shard)).toMatchObject({
        silent: [{ record: { node: { id: a } } }],
        examined: 1,
      });
      const kept = await done(
        store,
        statusChange(first, { status: 'unreachable', reason: 'connection_lost' }),
      );
      expect((await news(store, shard)).silent).toMatchObject([{ record: kept }]);
      await done(
        store,
        statusChange(kept, { status: 'offline', reason: 'heartbeat_timeout', deadline: 'never' }),
      );
      expect(await news(store, shard)).toMatchObject({ silent: [], examined: 0 });
    });

    it('looks at so many overdue nodes, the longest overdue first, after those to be skipped', async () => {
      const { store, fleet } = setting();
      const ids = idsOfOneShard(store, 5);
      const shard = store.shardOf(ids[0] ?? '');
      for (const [index, id] of ids.entries())
        await done(store, {
          ...registration({ id }),
          heartbeat: 'clear',
          deadline: { afterMs: 10 + 10 * index },
        });
      await fleet.elapse(70);
      const told = async (skip: number, look: number) => {
        const answer = await news(store, shard, { skip, look });
        expect(answer).toMatchObject({ examined: answer.silent.length, putOff: 0 });
        return answer.silent.map(({ record }) => record.node.id);
      };
      expect(await told(0, 100)).toEqual(ids);
      expect(await told(0, 2)).toEqual(ids.slice(0, 2));
      expect(await told(2, 2)).toEqual(ids.slice(2, 4));
      expect(await told(4, 2)).toEqual(ids.slice(4));
      expect(await told(5, 2)).toEqual([]);
      expect(await told(0, 0)).toEqual([]);
    });

    it('counts those that it put off among those that it looked at', async () => {
      const { store } = setting();
      const [a = '', b = ''] = idsOfOneShard(store, 2);
      const shard = store.shardOf(a);
      const { session } = await done(store, registration({ id: b, timeoutMs: 40 }));
      await done(store, registration({ id: a, timeoutMs: 40 }));
      await store.beat(shard, [{ id: b, session, ttlMs: 60_000 }]);
      await untilSilent(setting(), a);
      expect(await news(store, shard)).toMatchObject({
        silent: [{ record: { node: { id: a } } }],
        examined: 2,
        putOff: 1,
      });
    });

    it('says nothing of a removed node', async () => {
      const { store, fleet } = setting();
      const shard = store.shardOf('a');
      await done(store, removal(await done(store, registration({ id: 'a', timeoutMs: 20 }))));
      await fleet.elapse(30);
      expect(await news(store, shard)).toMatchObject({ silent: [], examined: 0 });
    });
  });
}
