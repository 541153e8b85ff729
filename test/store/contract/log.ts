import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { comparePositions, type FleetStore, type Position } from '../../../server/store/fleet-store.ts';
import { registration, removal, statusChange } from '../../support/fixtures.ts';
import {
  beginningOf,
  type CreateFleet,
  done,
  freshFleet,
  idsOfOneShard,
  news,
  positionOf,
  recordsOf,
  wholeLog,
} from './setting.ts';

const none = { skip: 0, limit: 0 };

/** A tick's events, snapshots, replays and history. */
export function logContract(create: CreateFleet): void {
  describe('tick: what happened since', () => {
    const setting = freshFleet(create);

    it('tells every event once, in order, also those of other hubs, with what the hubs need', async () => {
      const { store, fleet } = setting();
      const other = await fleet.join();
      const [a = '', b = ''] = idsOfOneShard(store, 2);
      const shard = store.shardOf(a);
      const first = registration({ id: a });
      const second = registration({ id: b });
      const third = statusChange(first.record, { status: 'offline', reason: 'agent_stopped' });
      const start = await positionOf(store, shard);
      expect((await news(store, shard, { after: start })).entries).toEqual([]);
      await done(store, first);
      await done(other, second);
      await done(other, third);
      const { entries } = await news(store, shard, { after: start });
      expect(entries).toEqual(
        [first, second, third].map(({ event, record }) => ({ at: expect.any(String), event, record })),
      );
      const { epoch } = start;
      for (const [index, { at }] of entries.entries()) {
        const { entries: rest } = await news(store, shard, { after: { epoch, at } });
        expect(rest).toEqual(entries.slice(index + 1));
        expect(comparePositions(entries[index - 1]?.at ?? '0-0', at)).toBeLessThan(0);
      }
    });

    it('tells a hub of its own changes too, among those of others, as often as it asks', async () => {
      const { store, fleet } = setting();
      const other = await fleet.join();
      const ids = idsOfOneShard(store, 6);
      const shard = store.shardOf(ids[0] ?? '');
      const start = await positionOf(store, shard);
      const changes = ids.map((id, n) => {
        const change = registration({ id });
        const changeId = (n % 3 === 2 ? other : store).newChangeId();
        return { ...change, record: { ...change.record, changeId } };
      });
      for (const [n, change] of changes.entries()) await done(n % 3 === 2 ? other : store, change);
      const conflict = { ...registration({ id: ids[0] ?? '' }) };
      conflict.record = { ...conflict.record, changeId: store.newChangeId() };
      expect(await store.commit(conflict)).toBe('conflict');
      const expected = changes.map(({ event, record }) => ({ at: expect.any(String), event, record }));
      const whole = (await news(other, shard, { after: start })).entries;
      expect(whole).toEqual(expected);
      expect(await store.replay(shard, start, await positionOf(store, shard), 100)).toEqual(whole);
      // In two looks, the second of which begins amid what the first brought: what was told once is told again.
      const first = (await news(store, shard, { after: start, limit: 4 })).entries;
      expect(first).toEqual(whole.slice(0, 4));
      const after = { ...start, at: whole[1]?.at ?? '' };
      expect((await news(store, shard, { after })).entries).toEqual(whole.slice(2));
      expect((await news(store, shard, { after: start })).entries).toEqual(whole);
      expect((await news(other, shard, { after: start })).entries).toEqual(whole);
    });

    it('gives at most so many entries at once', async () => {
      const { store } = setting();
      const ids = idsOfOneShard(store, 7);
      const shard = store.shardOf(ids[0] ?? '');
      let after = await beginningOf(store, shard);
      for (const id of ids) await done(store, registration({ id }));
      const seen: string[] = [];
      for (const expected of [3, 3, 1, 0]) {
        const { entries } = await news(store, shard, { after, limit: 3 });
        expect(entries).toHaveLength(expected);
        seen.push(...entries.map(({ event }) => event.nodeId));
        after = { ...after, at: entries.at(-1)?.at ?? after.at };
      }
      expect(seen).toEqual(ids);
    });

    it('says that a position is lost which the log never had', async () => {
      const { store } = setting();
      const shard = store.shardOf('a');
      const empty = await positionOf(store, shard);
      const tick = (after: Position) => store.tick(shard, { after, limit: 10, overdue: none });
      expect(await tick({ ...empty, at: '5-0' })).toEqual({ kind: 'gap', cause: 'lost' });
      await done(store, registration({ id: 'a' }));
      const { epoch, at } = await positionOf(store, shard);
      const beyond = `${Number.parseInt(at, 10) + 1_000_000}-0`;
      expect(await tick({ epoch, at: beyond })).toEqual({ kind: 'gap', cause: 'lost' });
      for (const rubbish of ['', 'x', '-', '+', '1', '1-', '-1-0', '1e3-0', '99999999999999999999-0'])
        expect(await tick({ epoch, at: rubbish })).toEqual({ kind: 'gap', cause: 'lost' });
      expect(await tick({ epoch: 'another', at })).toEqual({ kind: 'epoch' });
    });
  });

  describe('a short log', () => {
    const setting = freshFleet(create, { logEntries: 20 });

    it('says that it was trimmed where a reader was too slow', async () => {
      const { store } = setting();
      const shard = store.shardOf('a');
      const beginning = await beginningOf(store, shard);
      let record = await done(store, registration({ id: 'a' }));
      const early = await positionOf(store, shard);
      for (let n = 0; n < 150; n += 1)
        record = await done(store, statusChange(record, { status: 'online', reason: 'reconnected' }));
      const late = await positionOf(store, shard);
      for (const after of [beginning, early]) {
        expect(await store.tick(shard, { after, limit: 10, overdue: none })).toEqual({
          kind: 'gap',
          cause: 'trimmed',
        });
        expect(await store.replay(shard, after, late, 10)).toBe('gap');
      }
      expect((await news(store, shard, { after: late })).entries).toEqual([]);
      const history = await store.history({ id: 'a', limit: 500 });
      expect(history.length).toBeGreaterThanOrEqual(20);
      expect(history.length).toBeLessThan(150);
      expect(history[0]?.seq).toBe(151);
      const { at, keptSince } = await store.locate(shard, 0);
      expect(keptSince).toBeGreaterThan(0);
      expect(await store.replay(shard, { ...late, at }, late, 10)).not.toBe('gap');
      expect(await store.locate(shard, Date.now() + 60_000)).toEqual({ at: late.at, keptSince: undefined });
    });
  });

  describe('snapshot, replay and history', () => {
    const setting = freshFleet(create);

    it('shows every node, whatever its status and its next look', async () => {
      const { store } = setting();
      const ids = idsOfOneShard(store, 450);
      const shard = store.shardOf(ids[0] ?? '');
      const looks = ['never', 'keep', { afterMs: 5 }] as const;
      const changes = ids.map((id, n) => ({ ...registration({ id }), deadline: looks[n % 3] ?? 'keep' }));
      await Promise.all(changes.map((change) => done(store, change)));
      const byId = new Map((await recordsOf(store, shard)).map((record) => [record.node.id, record]));
      expect(byId.size).toBe(ids.length);
      for (const { id, record } of changes) expect(byId.get(id)).toEqual(record);
    });

    it('misses nothing, with the log from its position, while writes go on', async () => {
      const { store, fleet } = setting();
      const writer = await fleet.join();
      const ids = idsOfOneShard(store, 60);
      const shard = store.shardOf(ids[0] ?? '');
      for (const id of ids.slice(0, 30)) await done(store, registration({ id }));
      let writing = true;
      const writes = writeOn(writer, ids, () => writing);
      const { position, pages } = await store.snapshot(shard);
      const seen = new Map<string, number>();
      for await (const page of pages) for (const { node } of page) seen.set(node.id, node.seq);
      writing = false;
      await writes;
      for (const { event } of (await news(store, shard, { after: position })).entries) {
        if (event.seq <= (seen.get(event.nodeId) ?? 0)) continue;
        if (event.type === 'removed') seen.delete(event.nodeId);
        else seen.set(event.nodeId, event.seq);
      }
      const stored = await recordsOf(store, shard);
      expect(new Map([...seen].toSorted())).toEqual(
        new Map(stored.map(({ node }): [string, number] => [node.id, node.seq]).toSorted()),
      );
    });

    it('replays the log from one position up to another', async () => {
      const { store } = setting();
      const ids = idsOfOneShard(store, 6);
      const shard = store.shardOf(ids[0] ?? '');
      const start = await positionOf(store, shard);
      for (const id of ids) await done(store, registration({ id }));
      const log = await wholeLog(store, shard);
      const place = (index: number): Position => ({ ...start, at: log[index]?.at ?? '' });
      const replay = (after: Position, upTo: Position, limit = 100) =>
        store.replay(shard, after, upTo, limit);
      expect(await replay(start, place(5))).toEqual(log);
      expect(await replay(place(0), place(3))).toEqual(log.slice(1, 4));
      expect(await replay(start, place(5), 2)).toEqual(log.slice(0, 2));
      expect(await replay(place(3), place(3))).toEqual([]);
      expect(await replay(place(4), place(1))).toEqual([]);
      expect(await replay({ ...start, epoch: 'other' }, place(5))).toBe('gap');
      expect(await replay(start, { ...place(5), epoch: 'other' })).toBe('gap');
      expect(await replay({ ...start, at: 'rubbish' }, place(5))).toBe('gap');
      expect(await replay({ ...start, at: '7777777777777-7' }, place(5))).toBe('gap');
    });

    it('finds a time in the log', async () => {
      const { store } = setting();
      const [a = '', b = ''] = idsOfOneShard(store, 2);
      const shard = store.shardOf(a);
      expect(await store.locate(shard, 0)).toMatchObject({ keptSince: undefined });
      // By the real clock: one of the stores takes it from its server.
      const register = (id: string) => done(store, registration({ id, at: new Date().toISOString() }));
      await register(a);
      await pause(20);
      const between = Date.now();
      await pause(20);
      await register(b);
      const end = await positionOf(store, shard);
      const since = async (ms: number) => {
        const { at, keptSince } = await store.locate(shard, ms);
        const entries = await store.replay(shard, { ...end, at }, end, 10);
        return { ids: entries === 'gap' ? entries : entries.map(({ event }) => event.nodeId), keptSince };
      };
      expect(await since(0)).toEqual({ ids: [a, b], keptSince: undefined });
      expect(await since(between)).toEqual({ ids: [b], keptSince: undefined });
      expect(await since(Date.now() + 60_000)).toEqual({ ids: [], keptSince: undefined });
    });

    it('tells the newest events of one node', async () => {
      const { store } = setting();
      const [a = '', b = ''] = idsOfOneShard(store, 2);
      const minute = (n: number) => `2026-03-01T12:0${n}:00.000Z`;
      let record = await done(store, registration({ id: a, at: minute(0) }));
      for (let n = 1; n < 6; n += 1) {
        record = await done(
          store,
          statusChange(record, { status: 'online', reason: 'reconnected', at: minute(n) }),
        );
        await done(store, registration({ id: b, expected: n - 1, at: minute(n) }));
      }
      const seqs = async (limit: number) => (await store.history({ id: a, limit })).map(({ seq }) => seq);
      expect(await seqs(100)).toEqual([6, 5, 4, 3, 2, 1]);
      expect(await seqs(2)).toEqual([6, 5]);
      expect(await store.history({ id: 'nobody', limit: 5 })).toEqual([]);
    });

    it('tells the newest events of the fleet, from all shards', async () => {
      const { store } = setting();
      const ids = Array.from({ length: 90 }, (_, n) => `n${n}`);
      const second = (n: number) => new Date(Date.UTC(2026, 2, 1, 12, 0, n)).toISOString();
      for (const [n, id] of ids.entries()) await done(store, registration({ id, at: second(n) }));
      const newest = async (limit: number) => (await store.history({ limit })).map(({ nodeId }) => nodeId);
      expect(await newest(1_000)).toEqual(ids.toReversed());
      expect(await newest(25)).toEqual(ids.toReversed().slice(0, 25));
      expect(await newest(1)).toEqual(['n89']);
    });
  });
}

/** Changes nodes at random, one commit at a time, as long as it is asked to. */
async function writeOn(store: FleetStore, ids: readonly string[], goOn: () => boolean): Promise<void> {
  for (let n = 0; goOn() || n < 200; n += 1) {
    const id = ids[(n * 7) % ids.length] ?? '';
    const stored = await store.read(id);
    if (stored.kind === 'node') {
      const { record } = stored;
      const change =
        n % 5 === 0 ? removal(record) : statusChange(record, { status: 'online', reason: 'reconnected' });
      await done(store, change);
    } else {
      await done(
        store,
        registration({ id, expected: stored.kind === 'gone' ? stored.tombstone.version : 0 }),
      );
    }
  }
}
