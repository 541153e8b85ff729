import { gunzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { PACKET_BYTES } from '../../server/dashboards/pages.ts';
import { LIMITS, nodeSchema, nodeSummarySchema } from '../../shared/index.ts';
import { soon } from '../support/soon.ts';
import { lose, Opened } from './harness.ts';

const opened = new Opened();
afterEach(() => opened.close());

describe('subscribe', () => {
  test('[SUB-1] the ack tells cursor, total and the state of the hub; then the fleet comes', async () => {
    const hub = await opened.hub();
    await hub.register({ nodeId: 'a', kind: 'gpu' });
    await hub.register({ nodeId: 'b' });
    const dashboard = await opened.dashboard(hub);
    const answer = await dashboard.follow();
    expect(answer).toMatchObject({ ok: true, resumed: false, total: 2, hub: { state: 'live', hubs: 1 } });
    expect(answer.cursor).not.toBe('');
    expect(dashboard.picture.get('a')).toEqual(hub.fleet.view.get('a')?.node);
    expect([...dashboard.picture.keys()].sort()).toEqual(['a', 'b']);
  });

  test('[SUB-2] an empty fleet is one empty page', async () => {
    const dashboard = await opened.dashboard(await opened.hub());
    expect(await dashboard.follow()).toMatchObject({ total: 0, resumed: false });
    expect(dashboard.pages).toEqual([{ nodes: [], remaining: 0 }]);
  });

  test('[SUB-3] a large fleet comes in pages that count down', async () => {
    const hub = await opened.hub();
    const metadata = { text: 'x'.repeat(20_000) };
    await Promise.all(
      Array.from({ length: 60 }, (_, index) => hub.register({ nodeId: `n${index}`, metadata })),
    );
    const dashboard = await opened.dashboard(hub);
    await dashboard.follow();
    const { pages } = dashboard;
    expect(pages.length).toBeGreaterThanOrEqual(5);
    let remaining = 60;
    for (const page of pages) {
      remaining -= page.nodes.length;
      expect(page.remaining).toBe(remaining);
      expect(JSON.stringify(page.nodes).length).toBeLessThan(PACKET_BYTES + 1_000);
    }
    expect(dashboard.picture.size).toBe(60);
  });

  test('[SUB-4] a filter chooses the nodes', async () => {
    const hub = await opened.hub();
    await hub.register({ nodeId: 'a', labels: { zone: 'x' }, kind: 'gpu' });
    await hub.register({ nodeId: 'b', labels: { zone: 'y' }, kind: 'gpu' });
    await lose(hub, await hub.register({ nodeId: 'c', labels: { zone: 'x' } }));
    const chosen = async (filter: object) => {
      const dashboard = await opened.dashboard(hub);
      const { total } = await dashboard.follow({ filter });
      const ids = [...dashboard.picture.keys()].sort();
      expect(total).toBe(ids.length);
      return ids;
    };
    expect(await chosen({ labels: { zone: 'x' } })).toEqual(['a', 'c']);
    expect(await chosen({ status: ['unreachable'] })).toEqual(['c']);
    expect(await chosen({ kind: ['gpu'], labels: { zone: 'y' } })).toEqual(['b']);
    expect(await chosen({ ids: ['a', 'nobody'] })).toEqual(['a']);
    expect(await chosen({ labels: { constructor: 'x' } })).toEqual([]);
  });

  test('[SUB-5] summaries are the rows of a list', async () => {
    const hub = await opened.hub();
    await hub.register({ nodeId: 'a', metadata: { big: 1 }, location: 'here' });
    const dashboard = await opened.dashboard(hub);
    await dashboard.follow({ fields: 'summary' });
    const node = dashboard.picture.get('a');
    expect(z.strictObject(nodeSummarySchema.shape).parse(node)).toMatchObject({
      location: 'here',
      hubId: 'hub-a',
    });
  });

  test('[SUB-6] with gzip a page is the compressed JSON of its nodes', async () => {
    const hub = await opened.hub();
    await hub.register({ nodeId: 'a' });
    const dashboard = await opened.dashboard(hub);
    await dashboard.ask('subscribe', { gzip: true });
    const page = z
      .object({ gzip: z.instanceof(Uint8Array), remaining: z.literal(0) })
      .parse(await dashboard.hears('snapshot'));
    const nodes = z.array(nodeSchema).parse(JSON.parse(gunzipSync(page.gzip).toString()));
    expect(nodes).toEqual([hub.fleet.view.get('a')?.node]);
  });

  test.each([
    ['a string', 'rubbish', /the request/],
    ['a number', 7, /the request/],
    ['null', null, /the request/],
    ['a list', [], /the request/],
    ['a filter of rubbish', { filter: { statuz: ['online'] } }, /^filter\.statuz: there is no such field$/],
    [
      'an unknown status',
      { filter: { status: ['onlin'] } },
      /^filter\.status\.0: "onlin" is none of online, degraded, unreachable, offline; did you mean online\?$/,
    ],
    ['a filter that is a string', { filter: 'online' }, /^filter: must be an object$/],
    ['a list that is none', { filter: { kind: 'gpu' } }, /^filter\.kind: must be a list$/],
    ['an empty text', { filter: { pool: '' } }, /^filter\.pool: must not be empty$/],
    [
      'a wrong label',
      { filter: { labels: { 'a b': 'c' } } },
      /^filter\.labels\.a b: must be letters, digits/,
    ],
    ['a label named __proto__', JSON.parse('{"filter":{"labels":{"__proto__":"x"}}}'), /filter/],
    ['half a surrogate pair', { filter: { q: '\ud800' } }, /filter\.q/],
    [
      'a long cursor',
      { since: 'x'.repeat(LIMITS.cursorLength + 1) },
      /^since: must be at most \d+ characters$/,
    ],
    ['unknown fields', { fields: 'most' }, /^fields: "most" is none of full, summary$/],
  ])('[SUB-7] %s is answered as invalid, naming the field', async (_name, payload, message) => {
    const dashboard = await opened.dashboard(await opened.hub());
    expect(await dashboard.ask('subscribe', payload)).toEqual({
      ok: false,
      code: 'invalid',
      message: expect.stringMatching(message),
    });
    expect(await dashboard.subscribe()).toMatchObject({ ok: true });
  });

  test('[SUB-7] a subscribe without an ack, or with something else in its place, is passed over', async () => {
    const hub = await opened.hub();
    const dashboard = await opened.dashboard(hub);
    dashboard.socket.emit('subscribe');
    dashboard.socket.emit('subscribe', {});
    dashboard.socket.emit('subscribe', {}, 'not a function');
    dashboard.socket.emit('error', 'rubbish');
    dashboard.socket.emit('nothing like it', { a: 1 });
    expect(await dashboard.ask('subscribe')).toMatchObject({ ok: false, code: 'invalid' });
    expect(await dashboard.follow()).toMatchObject({ total: 0 });
    expect(hub.gateway.countByState()).toEqual({ live: 1 });
  });

  test('[SUB-12] a new subscription takes the place of the old one', async () => {
    const hub = await opened.hub();
    const dashboard = await opened.dashboard(hub);
    await dashboard.follow({ filter: { kind: ['gpu'] } });
    await dashboard.follow({ filter: { kind: ['edge'] } });
    expect(hub.gateway.groups).toBe(1);
    await hub.register({ nodeId: 'a', kind: 'gpu' });
    await hub.register({ nodeId: 'b', kind: 'edge' });
    expect((await dashboard.hearsEvents(1)).map(({ nodeId }) => nodeId)).toEqual(['b']);
  });

  test('[SUB-12] one that was not answered yet is answered as replaced', async () => {
    const dashboard = await opened.dashboard(await opened.hub());
    const [first, second] = await Promise.all([
      dashboard.ask('subscribe', {}),
      dashboard.ask('subscribe', {}),
    ]);
    expect(first).toMatchObject({ ok: false, code: 'replaced' });
    expect(second).toMatchObject({ ok: true });
    await soon(() => dashboard.pages.length > 0);
    expect(dashboard.pages).toHaveLength(1);
  });

  test('[RES-5] one subscribe a second over a burst of five is answered, and the one before goes on', async () => {
    const hub = await opened.hub();
    const dashboard = await opened.dashboard(hub);
    for (let n = 0; n < 5; n += 1) await dashboard.follow();
    const refused = await dashboard.ask('subscribe', {});
    expect(refused).toMatchObject({
      ok: false,
      code: 'too_many',
      message: expect.stringContaining('second'),
    });
    await hub.register({ nodeId: 'a' });
    await dashboard.hearsEvents(1);
    const another = await opened.dashboard(hub);
    expect(await another.follow()).toMatchObject({ total: 1 });
  });

  test('[SUB-13] unsubscribe ends it', async () => {
    const hub = await opened.hub();
    const dashboard = await opened.dashboard(hub);
    await dashboard.follow();
    await soon(() => hub.gateway.countByState().live === 1);
    dashboard.socket.emit('unsubscribe');
    await soon(() => hub.gateway.countByState().ended === 1);
    expect(hub.gateway.groups).toBe(0);
    await hub.register({ nodeId: 'a' });
    await dashboard.ask('node', { id: 'a' });
    expect(dashboard.batches).toEqual([]);
  });

  test('[SUB-13] a dashboard that goes leaves nothing behind', async () => {
    const hub = await opened.hub();
    const dashboard = await opened.dashboard(hub);
    await dashboard.follow();
    dashboard.socket.emit('watch', { ids: ['a'] });
    dashboard.close();
    await soon(() => hub.gateway.size === 0);
    expect(hub.gateway.groups).toBe(0);
    expect(hub.gateway.countByState()).toEqual({});
  });

  test('[SUB-14] while the view is loading, subscriptions are told to try again', async () => {
    const loading = await opened.hub({ away: true });
    const dashboard = await opened.dashboard(loading);
    expect(await dashboard.ask('subscribe', {})).toMatchObject({ ok: false, code: 'not_ready' });
    loading.store.fault = 'none';
    await soon(() => loading.fleet.ready);
    expect(await dashboard.subscribe()).toMatchObject({ ok: true });
  });
});
