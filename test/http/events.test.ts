import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { CursorCodec, subscriptionKey } from '../../server/picture/cursor.ts';
import { systemClock } from '../../server/runtime/clock.ts';
import { MemoryFleet } from '../../server/store/memory/memory-store.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { registerAgent, registerMessage } from '../support/test-fleet.ts';
import { until } from '../support/until.ts';
import { SseClient } from './sse-client.ts';
import { startApi, type TestApi, type TestApiOptions } from './test-api.ts';

describe('the log for programs', () => {
  const apis: TestApi[] = [];
  const clients: SseClient[] = [];
  const start = async (options: TestApiOptions = {}): Promise<TestApi> => {
    const api = await startApi(options);
    apis.push(api);
    return api;
  };
  const stream = (api: TestApi, headers: Record<string, string> = {}, query = ''): SseClient => {
    const client = new SseClient(`${api.url}/api/v1/events${query}`, headers);
    clients.push(client);
    return client;
  };
  const add = (api: TestApi, id: string, more: Record<string, unknown> = {}) =>
    api.call('POST', '/api/v1/nodes', { node: { hostname: id, nodeId: id, ...more } });
  /** One more event of 30 kB: of another node each time, as the changes of one are written once a second. */
  const large = async (api: TestApi, n: number): Promise<void> => {
    const metadata = { filler: 'x'.repeat(30_000) };
    await registerAgent(api.fleet, registerMessage({ nodeId: `n-${n}`, metadata }));
    // What the kernel takes is no longer unread.
    await api.call('GET', '/healthz');
  };
  const idsOf = (client: SseClient) => client.events.map(({ data }) => data.nodeId);
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await Promise.all(apis.splice(0).map((api) => api.close()));
  });

  it('[API-33] without since from now on; with the cursor what came after it, in order', async () => {
    const api = await start();
    await add(api, 'before');
    const now = await api.call('GET', '/api/v1/events');
    expect(now.body).toMatchObject({ events: [], more: false });
    for (let n = 0; n < 5; n += 1) await add(api, `n-${n}`);
    const news = await api.call('GET', `/api/v1/events?since=${now.body.cursor}`);
    // Those of different nodes may come in any order: each shard has a log of its own.
    const ids = news.body.events.map(({ nodeId }: { nodeId: string }) => nodeId);
    expect(ids.toSorted()).toEqual(['n-0', 'n-1', 'n-2', 'n-3', 'n-4']);
    expect(news.body.more).toBe(false);
    const again = await api.call('GET', `/api/v1/events?since=${news.body.cursor}`);
    expect(again.body).toEqual({ events: [], cursor: news.body.cursor, more: false });
  });

  it('[API-34] pages of any size bring every event exactly once, in order for each node', async () => {
    const api = await start();
    const { body } = await api.call('GET', '/api/v1/events');
    for (let n = 0; n < 40; n += 1) await add(api, `n-${n % 7}`);
    const seen: string[] = [];
    let cursor: string = body.cursor;
    for (let more = true; more; ) {
      const page = await api.call('GET', `/api/v1/events?since=${cursor}&limit=3`);
      for (const { nodeId, seq } of page.body.events) seen.push(`${nodeId} ${seq}`);
      ({ cursor, more } = page.body);
    }
    expect(seen).toHaveLength(40);
    expect(new Set(seen).size).toBe(40);
    for (let node = 0; node < 7; node += 1) {
      const seqs = seen
        .filter((text) => text.startsWith(`n-${node} `))
        .map((text) => Number(text.split(' ')[1]));
      expect(seqs).toEqual(seqs.map((_, index) => index + 1));
    }
  });

  it('[API-35] the cursor is that of a Socket.IO subscription without a filter', async () => {
    const api = await start();
    const { body } = await api.call('GET', '/api/v1/events');
    const codec = new CursorCodec(subscriptionKey({}, 'full'));
    expect(codec.decode(body.cursor, api.fleet.view.positions())).toEqual(api.fleet.view.positions());
  });

  it('[API-36] a log that no longer reaches back is 410 gap, a text that is no cursor 400', async () => {
    const api = await start({ memory: new MemoryFleet(systemClock, 1, 10) });
    const { body } = await api.call('GET', '/api/v1/events');
    for (let n = 0; n < 40; n += 1) await add(api, 'n');
    const gap = await api.call('GET', `/api/v1/events?since=${body.cursor}`);
    expect([gap.status, gap.body.code]).toEqual([410, 'gap']);
    const wrong = await api.call('GET', '/api/v1/events?since=nonsense');
    expect([wrong.status, wrong.body.path]).toEqual([400, 'since']);
    const typo = await api.call('GET', '/api/v1/events?sinc=x');
    expect(typo.status).toBe(400);
  });

  it('[API-37] a cursor of a data set that the store lost is a gap', async () => {
    const api = await start();
    const { body } = await api.call('GET', '/api/v1/events');
    for (let shard = 0; shard < 4; shard += 1) api.memory.empty(shard);
    await until(
      'the cursor is a gap',
      async () => (await api.call('GET', `/api/v1/events?since=${body.cursor}`)).status === 410,
    );
  });

  it('[API-48] since a time: what happened from then on, and what is no longer kept is said', async () => {
    const api = await start();
    await add(api, 'early');
    await pause(30);
    const between = new Date().toISOString();
    await pause(30);
    await add(api, 'late');
    const idsSince = async (since: string) => {
      const { body } = await api.call('GET', `/api/v1/events?since=${encodeURIComponent(since)}`);
      expect(body.keptSince).toBeUndefined();
      return body.events.map(({ nodeId }: { nodeId: string }) => nodeId);
    };
    expect(await idsSince(between)).toEqual(['late']);
    expect(await idsSince('1h')).toEqual(expect.arrayContaining(['early', 'late']));
    expect(await idsSince('0ms')).toEqual([]);
    const short = await start({ memory: new MemoryFleet(systemClock, 1, 10) });
    for (let n = 0; n < 40; n += 1) await add(short, `n-${n}`);
    for (let n = 0; n < 40; n += 1) await short.call('DELETE', `/api/v1/nodes/n-${n}`);
    for (let n = 0; n < 40; n += 1) await add(short, `n-${n}`);
    await until('its log was trimmed', async () => {
      await add(short, 'more');
      await short.call('DELETE', '/api/v1/nodes/more');
      return (await short.call('GET', '/api/v1/events?since=1h')).body.keptSince !== undefined;
    });
    const { body } = await short.call('GET', '/api/v1/events?since=1h&limit=1');
    expect(body.keptSince <= body.events[0].at).toBe(true);
    const client = stream(short, {}, '?since=1h');
    await until('it is said first', () => client.events.length > 1);
    expect(client.events[0]).toMatchObject({
      event: 'resync',
      data: { reason: `events before ${body.keptSince} are not kept` },
    });
  });

  it('[SSE-1] a stream brings each event by its type, with a cursor to resume from', async () => {
    const api = await start();
    const client = await stream(api).open();
    await add(api, 'n-1');
    await until('the event', () => client.events.length === 1);
    expect(client.events[0]).toMatchObject({
      event: 'registered',
      data: { nodeId: 'n-1', seq: 1, to: 'online' },
    });
    expect(client.events[0]?.id).toBe((await api.call('GET', '/api/v1/events')).body.cursor);
  });

  it('[SSE-2] Last-Event-ID resumes where the client was, on another hub as well', async () => {
    const api = await start();
    const client = await stream(api).open();
    await add(api, 'n-1');
    await until('the event', () => client.events.length === 1);
    client.close();
    for (let n = 2; n < 6; n += 1) await add(api, `n-${n}`);
    const other = await start({ memory: api.memory, hubId: 'hub-b' });
    const resumed = stream(other, { 'last-event-id': client.lastId ?? '' });
    await until('what was missed', () => resumed.events.length === 4);
    await add(api, 'n-6');
    await until('what is new', () => resumed.events.length === 5);
    // In order for each node; nodes of different shards come as their logs are read.
    expect(idsOf(resumed).sort()).toEqual(['n-2', 'n-3', 'n-4', 'n-5', 'n-6']);
  });

  it('[SSE-3] a replay that changes overtake ends live, without a hole', async () => {
    const api = await start();
    const { body } = await api.call('GET', '/api/v1/events');
    const writing = (async () => {
      for (let n = 0; n < 300; n += 1) await add(api, `n-${n}`);
    })();
    await until('some are there', () => api.fleet.view.size > 100);
    const client = stream(api, {}, `?since=${body.cursor}`);
    await writing;
    await until('all of them', () => new Set(idsOf(client)).size === 300);
  });

  it('[SSE-4] a gap is an event named resync, and the stream goes on from there', async () => {
    const api = await start({ memory: new MemoryFleet(systemClock, 1, 10) });
    const { body } = await api.call('GET', '/api/v1/events');
    for (let n = 0; n < 40; n += 1) await add(api, 'n');
    const client = stream(api, { 'last-event-id': body.cursor });
    await until('the resync', () => client.events.length === 1);
    expect(client.events[0]).toMatchObject({ event: 'resync', data: { reason: expect.any(String) } });
    await add(api, 'later');
    await until('the event after it', () => client.events.length === 2);
    api.memory.empty(0);
    await until('lost data is a resync too', () =>
      client.events.some(({ event }, at) => at > 1 && event === 'resync'),
    );
  });

  it('[SSE-5] a comment every 15 s keeps proxies awake', async () => {
    const clock = new FakeClock();
    const api = await start({ clock });
    const client = await stream(api).open();
    const before = client.comments;
    await clock.advance(45_000);
    await until('three comments', () => client.comments - before === 3);
    const closing = apis.splice(0).map((each) => each.close());
    await clock.advance(2_000);
    await Promise.all(closing);
  });

  it('[SSE-6] a reader that does not read is cut off, and the others go on', async () => {
    const api = await start();
    const good = await stream(api).open();
    const slow = await stream(api).open();
    slow.pause();
    for (let n = 0; n < 2_000 && api.face.streams.size === 2; n += 1) await large(api, n);
    expect(api.face.streams.size).toBe(1);
    const before = good.events.length;
    await add(api, 'last');
    await until(
      'the other still hears',
      () => good.events.length > before && good.events.at(-1)?.data.nodeId === 'last',
    );
  });

  it('[SSE-8] a reader that takes nothing for 30 s is cut off, although little is unread', async () => {
    const clock = new FakeClock();
    const api = await start({ clock });
    await stream(api).open();
    const slow = await stream(api).open();
    slow.pause();
    for (let n = 0; n < 2_000 && api.face.streams.unreadBytes === 0; n += 1) await large(api, n);
    for (let seconds = 0; seconds < 29; seconds += 1) await clock.advance(1_000);
    expect(api.face.streams.size).toBe(2);
    for (let seconds = 0; seconds < 3; seconds += 1) await clock.advance(1_000);
    expect(api.face.streams.size).toBe(1);
    expect(api.face.streams.unreadBytes).toBe(0);
    const closing = apis.splice(0).map((each) => each.close());
    await clock.advance(2_000);
    await Promise.all(closing);
  });

  it('[SSE-7] a stopping hub ends its streams', async () => {
    const api = await start();
    const client = await stream(api).open();
    await api.face.drain(1_000);
    await until('the stream ended', () => client.ended);
  });
});
