import { gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { SUMMARIES } from '../../client/messages.ts';
import { Subscription } from '../../client/subscription.ts';
import type { NodeSummary } from '../../shared/index.ts';
import { eventOf, next, row } from '../dashboard/rows.ts';
import { until } from '../support/until.ts';
import { accepted } from './scripted-hub.ts';

const snapshotAnswer = { ...accepted, cursor: 'c0', total: 3 };
const resumedAnswer = { ...snapshotAnswer, resumed: true };

describe('a subscription by the wire', () => {
  let heard: string[];
  let asked: unknown[];
  let subscription: Subscription<NodeSummary>;

  beforeEach(() => {
    heard = [];
    asked = [];
    subscription = new Subscription<NodeSummary>(
      { nodes: SUMMARIES, gzip: true, resubscribeDelayMs: 1 },
      {
        subscribed: ({ resumed }, { state }) => void heard.push(`${resumed ? 'resumed' : 'new'} ${state}`),
        picture: (picture) => void heard.push(`picture of ${picture.size}`),
        changed: ({ after, before }) =>
          void heard.push(`${(after ?? before)?.id} ${after?.status ?? 'gone'}`),
        waiting: () => {},
        progress: (received, total) => void heard.push(`${received} of ${total}`),
        unanswered: (why) => void heard.push(why),
        postponed: (why) => void heard.push(`postponed: ${why}`),
        hole: ({ nodeId, known, got }) => void heard.push(`hole ${nodeId} ${known} ${got}`),
        resync: (reason) => void heard.push(`resync: ${reason}`),
        ended: (code) => void heard.push(`ended ${code}`),
      },
    );
  });

  /** A connection on which every subscription is answered with the same. */
  const connected = (answer: unknown): void =>
    subscription.connected((request, answered) => {
      asked.push(request);
      setImmediate(answered, null, answer);
    });
  const connect = async (answer: unknown): Promise<void> => {
    const before = asked.length;
    connected(answer);
    await until('it was answered', () => asked.length > before && subscription.state !== 'asking');
  };
  const zipped = (rows: NodeSummary[], remaining: number) => ({
    gzip: new Uint8Array(gzipSync(JSON.stringify(rows))),
    remaining,
  });
  const pictured = async (...rows: NodeSummary[]): Promise<void> => {
    await connect(snapshotAnswer);
    subscription.page(zipped(rows, 0), 0);
    await until('the picture is whole', () => subscription.state === 'following');
    heard = [];
  };
  const changes = (cursor: string, ...events: unknown[]): void => {
    subscription.changes({ cursor, events }, 0);
    subscription.apply(Number.POSITIVE_INFINITY);
  };

  it('takes pages in their order, gzip or not, and has a cursor only once the picture is whole', async () => {
    await connect(snapshotAnswer);
    subscription.page(zipped([row('a')], 2), 0);
    subscription.page({ nodes: [row('b')], remaining: 1 }, 0);
    expect(subscription.cursor).toBeUndefined();
    subscription.page(zipped([row('c')], 0), 0);
    subscription.changes({ cursor: 'c1', events: [next(row('a'), 'offline')] }, 0);
    await until('the picture is whole', () => heard.includes('picture of 3'));
    expect(heard).toEqual(['new live', '1 of 3', '2 of 3', '3 of 3', 'picture of 3']);
    expect(subscription.cursor).toBe('c0');
    await until('what came after the pages is applied', () => {
      subscription.apply(Number.POSITIVE_INFINITY);
      return subscription.cursor === 'c1';
    });
    expect(subscription.picture.nodes.get('a')?.status).toBe('offline');
  });

  it('takes a page that comes at once after the answer', () => {
    subscription.connected((_request, answered) => {
      answered(null, snapshotAnswer);
      subscription.page({ nodes: [row('a')], remaining: 0 }, 0);
      subscription.changes({ cursor: 'c1', events: [next(row('a'), 'offline')] }, 0);
    });
    subscription.apply(Number.POSITIVE_INFINITY);
    expect(heard).toEqual(['new live', '1 of 3', 'picture of 1', 'a offline']);
  });

  it('starts over where changes come before the picture is whole, or a page is broken', async () => {
    await connect(snapshotAnswer);
    subscription.changes({ cursor: 'c1', events: [] }, 0);
    expect(heard.at(-1)).toMatch(/^resync: changes came before/);
    await until('it is asked for again', () => asked.length === 2 && subscription.state === 'collecting');
    subscription.page({ gzip: new Uint8Array([1, 2, 3]), remaining: 0 }, 0);
    await until('it starts over', () => heard.includes('resync: a page of the snapshot could not be read'));
    expect(subscription.cursor).toBeUndefined();
    subscription.lost();
  });

  it('applies each version once and passes over what comes twice', async () => {
    await pictured(row('a'));
    const lost = next(row('a'), 'unreachable');
    changes('c1', lost, lost, eventOf(row('a')));
    expect(heard).toEqual(['a unreachable']);
    expect(subscription.cursor).toBe('c1');
  });

  it('asks for a new picture where a version is missing, without a cursor', async () => {
    await pictured(row('a'));
    changes('c1', eventOf(row('a', { seq: 3 })));
    expect(heard).toEqual(['hole a 1 3', 'resync: version 3 of a came without the one before']);
    await until('it is asked for again', () => asked.length === 2);
    expect(asked[1]).not.toHaveProperty('since');
    subscription.lost();
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
    expect(subscription.picture.size).toBe(0);
    changes('c2', eventOf(row('a', { seq: 3 }), { type: 'registered', from: null }));
    expect(subscription.picture.size).toBe(1);
  });

  it('resumes from its cursor without a new picture', async () => {
    await pictured(row('a'));
    changes('c7', next(row('a'), 'offline'));
    subscription.lost();
    await connect(resumedAnswer);
    expect(asked.at(-1)).toMatchObject({ since: 'c7', fields: 'summary', gzip: true });
    changes('c8', next(row('a', { seq: 2, status: 'offline' }), 'online', 'reconnected'));
    expect(heard).toEqual(['a offline', 'resumed live', 'a online']);
  });

  it('applies what was heard before it asks where to resume', async () => {
    await pictured(row('a'));
    subscription.changes({ cursor: 'c1', events: [next(row('a'), 'offline')] }, 0);
    subscription.lost();
    await connect(resumedAnswer);
    expect(asked.at(-1)).toMatchObject({ since: 'c1' });
    expect(subscription.picture.nodes.get('a')?.status).toBe('offline');
  });

  it('drops its cursor at a resync, and what is left of the subscription before', async () => {
    await pictured(row('a'));
    subscription.resync({ reason: 'the log was trimmed' });
    changes('c9', next(row('a'), 'offline'));
    expect(heard).toEqual(['resync: the log was trimmed']);
    expect(subscription.cursor).toBeUndefined();
    subscription.lost();
  });

  it('keeps the old picture until the new one is whole', async () => {
    await pictured(row('a'), row('b'));
    subscription.resync({ reason: 'a gap' });
    await until('it is asked for again', () => subscription.state === 'collecting');
    subscription.page(zipped([row('c')], 1), 0);
    await until('a page came', () => heard.includes('1 of 3'));
    expect(subscription.picture.size).toBe(2);
    subscription.lost();
  });

  it('spends no more time in a frame than it may, and goes on in the next', async () => {
    const rows = Array.from({ length: 200 }, (_, index) => row(`n${index}`));
    await pictured(...rows);
    subscription.changes({ cursor: 'c1', events: rows.map((one) => next(one, 'offline')) }, 0);
    let time = 0;
    const clock = (): number => {
      time += 5;
      return time;
    };
    const offline = () => [...subscription.picture.nodes.values()].filter((one) => one.status === 'offline');
    expect(subscription.apply(1, clock)).toBe(true);
    expect(offline().length).toBe(64);
    expect(subscription.cursor).toBe('c0');
    while (subscription.apply(1, clock));
    expect(offline().length).toBe(200);
    expect(subscription.cursor).toBe('c1');
  });

  it('asks again where the hub is not ready, and ends where it refuses or is not understood', async () => {
    connected({ ok: false, code: 'not_ready', message: 'loading' });
    await until('it asked again', () => asked.length > 2);
    expect(heard).toContain('postponed: loading');
    subscription.lost();
    await connect({ ok: false, code: 'invalid', message: 'no' });
    expect(heard.at(-1)).toBe('ended invalid');
    await connect({ hello: 'world' });
    expect(heard.at(-1)).toBe('ended protocol');
  });
});
