import { gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { Following } from '../../dashboard/store/following.ts';
import type { Row } from '../../dashboard/store/wire-rows.ts';
import { someInstant } from '../support/fixtures.ts';
import { until } from '../support/until.ts';
import { eventOf, next, row } from './rows.ts';

const hub = { state: 'live', since: someInstant, hubs: 1 };
const snapshotAnswer = { ok: true, cursor: 'c0', resumed: false, total: 3, hub };
const resumedAnswer = { ...snapshotAnswer, resumed: true };

describe('following a fleet by the wire', () => {
  let heard: string[];
  let following: Following;

  beforeEach(() => {
    heard = [];
    following = new Following({
      picture: (picture) => void heard.push(`picture of ${picture.size}`),
      changed: ({ after, before }) => void heard.push(`${(after ?? before)?.id} ${after?.status ?? 'gone'}`),
      waiting: () => {},
      progress: (received, total) => void heard.push(`${received} of ${total}`),
      hub: ({ state }) => void heard.push(`hub ${state}`),
      startOver: (reason) => void heard.push(`start over: ${reason}`),
    });
  });

  const zipped = (rows: Row[], remaining: number) => ({
    gzip: new Uint8Array(gzipSync(JSON.stringify(rows))),
    remaining,
  });
  const pictured = async (...rows: Row[]): Promise<void> => {
    following.asked();
    expect(following.answered(snapshotAnswer)).toBe('snapshot');
    following.page(zipped(rows, 0));
    await until('the picture is whole', () => following.state === 'following');
    heard = [];
  };
  const changes = (cursor: string, ...events: unknown[]): void => {
    following.changes({ cursor, events });
    following.apply(Number.POSITIVE_INFINITY);
  };

  it('takes pages in their order, gzip or not, and has a cursor only once the picture is whole', async () => {
    following.asked();
    following.answered(snapshotAnswer);
    following.page(zipped([row('a')], 2));
    following.page({ nodes: [row('b')], remaining: 1 });
    expect(following.cursor).toBeUndefined();
    following.page(zipped([row('c')], 0));
    following.changes({ cursor: 'c1', events: [next(row('a'), 'offline')] });
    await until('the picture is whole', () => heard.includes('picture of 3'));
    expect(heard).toEqual(['hub live', '1 of 3', '2 of 3', '3 of 3', 'picture of 3']);
    expect(following.cursor).toBe('c0');
    await until('what came after the pages is applied', () => {
      following.apply(Number.POSITIVE_INFINITY);
      return following.cursor === 'c1';
    });
    expect(following.picture.counts).toEqual({ online: 2, degraded: 0, unreachable: 0, offline: 1 });
  });

  it('starts over where changes come before the picture is whole, or a page is broken', async () => {
    following.asked();
    following.answered(snapshotAnswer);
    following.changes({ cursor: 'c1', events: [] });
    expect(heard.at(-1)).toMatch(/^start over: changes came before/);
    following.asked();
    following.answered(snapshotAnswer);
    following.page({ gzip: new Uint8Array([1, 2, 3]), remaining: 0 });
    await until(
      'it starts over',
      () => heard.at(-1) === 'start over: a page of the snapshot could not be read',
    );
    expect(following.cursor).toBeUndefined();
  });

  it('applies each version once and passes over what comes twice', async () => {
    await pictured(row('a'));
    const lost = next(row('a'), 'unreachable');
    changes('c1', lost, lost, eventOf(row('a')));
    expect(heard).toEqual(['a unreachable']);
    expect(following.cursor).toBe('c1');
  });

  it('asks for a new picture where a version is missing', async () => {
    await pictured(row('a'));
    changes('c1', eventOf(row('a', { seq: 3 })));
    expect(heard).toEqual(['start over: version 3 of a came without the one before']);
    expect(following.cursor).toBeUndefined();
  });

  it('takes a restored node at any version', async () => {
    await pictured(row('a'));
    changes('c1', eventOf(row('a', { seq: 9 }), { type: 'updated', reason: 'store_restored' }));
    expect(heard).toEqual(['a online']);
  });

  it('forgets what was removed or left the filter, and remembers its version', async () => {
    await pictured(row('a'), row('b'));
    const removed = { ...next(row('a'), 'online', 'deregistered'), type: 'removed', to: null };
    const left = { ...next(row('b'), 'offline'), left: true };
    changes('c1', removed, left, removed, left);
    expect(heard).toEqual(['a gone', 'b gone']);
    expect(following.picture.size).toBe(0);
    expect(following.picture.facets.all).toEqual([]);
    changes('c2', eventOf(row('a', { seq: 3 }), { type: 'registered', from: null }));
    expect(following.picture.size).toBe(1);
  });

  it('resumes from its cursor without a new picture', async () => {
    await pictured(row('a'));
    changes('c7', next(row('a'), 'offline'));
    following.lost();
    following.asked();
    expect(following.cursor).toBe('c7');
    expect(following.answered(resumedAnswer)).toBe('resumed');
    changes('c8', next(row('a', { seq: 2, status: 'offline' }), 'online', 'reconnected'));
    expect(heard).toEqual(['a offline', 'hub live', 'a online']);
  });

  it('applies what was heard before it asks where to resume', async () => {
    await pictured(row('a'));
    following.changes({ cursor: 'c1', events: [next(row('a'), 'offline')] });
    following.lost();
    following.asked();
    expect(following.cursor).toBe('c1');
    expect(following.picture.counts.offline).toBe(1);
  });

  it('drops its cursor at a resync, and what is left of the subscription before', async () => {
    await pictured(row('a'));
    following.resync('the log was trimmed');
    changes('c9', next(row('a'), 'offline'));
    expect(heard).toEqual(['start over: the log was trimmed']);
    expect(following.cursor).toBeUndefined();
  });

  it('keeps the old picture until the new one is whole', async () => {
    await pictured(row('a'), row('b'));
    following.resync('a gap');
    following.asked();
    following.answered(snapshotAnswer);
    following.page(zipped([row('c')], 1));
    await until('a page came', () => heard.includes('1 of 3'));
    expect(following.picture.size).toBe(2);
  });

  it('spends no more time in a frame than it may, and goes on in the next', async () => {
    const rows = Array.from({ length: 200 }, (_, index) => row(`n${index}`));
    await pictured(...rows);
    following.changes({ cursor: 'c1', events: rows.map((one) => next(one, 'offline')) });
    let time = 0;
    const clock = (): number => {
      time += 5;
      return time;
    };
    expect(following.apply(1, clock)).toBe(true);
    expect(following.picture.counts.offline).toBe(64);
    expect(following.cursor).toBe('c0');
    while (following.apply(1, clock));
    expect(following.picture.counts.offline).toBe(200);
    expect(following.cursor).toBe('c1');
  });

  it('does not take a refusal or nonsense for an answer', () => {
    following.asked();
    expect(following.answered({ ok: false, code: 'not_ready', message: 'later' })).toBe('later');
    expect(following.answered({ ok: false, code: 'invalid', message: 'no' })).toBe('not_understood');
    expect(following.answered({ hello: 'world' })).toBe('not_understood');
  });
});
