import { afterEach, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { eventsAnswerSchema } from '../../server/http/api/schemas.ts';
import { CursorCodec, subscriptionKey } from '../../server/picture/cursor.ts';
import { fleetEventSchema } from '../../shared/index.ts';
import { type TestHub, TestHubs } from '../support/test-hub.ts';
import { ids, list, pageSchema, register } from './harness.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

/** A node's record is then 30 kB. */
const metadata = { text: 'x'.repeat(30_000) };

/** A hub with so many of them, by their ids in order. */
async function largeHub(count: number): Promise<{ hub: TestHub; all: string[] }> {
  const hub = await hubs.start();
  const all = Array.from({ length: count }, (_, n) => `n-${String(n).padStart(3, '0')}`);
  await register(hub, ...all.map((nodeId) => ({ nodeId, hostname: nodeId, metadata })));
  return { hub, all };
}

describe('answers that would be long', () => {
  it('[RES-9] a page of nodes ends at about 1 MiB, and all pages together are the fleet', async () => {
    const { hub, all } = await largeHub(100);
    const seen: string[] = [];
    let cursor: string | null = '';
    let pages = 0;
    while (cursor !== null) {
      const response = await hub.fetch(`/api/v1/nodes?limit=1000${cursor && `&cursor=${cursor}`}`);
      const text = await response.text();
      expect(text.length).toBeLessThan(1.1 * 1024 * 1024);
      const page: z.output<typeof pageSchema> = pageSchema.parse(JSON.parse(text));
      expect([page.count, page.total]).toEqual([page.nodes.length, 100]);
      seen.push(...ids(page));
      cursor = page.nextCursor;
      pages += 1;
    }
    expect(seen).toEqual(all);
    expect(pages).toBe(3);
    const summaries = await (await hub.fetch('/api/v1/nodes?limit=1000&fields=summary')).json();
    expect(summaries).toMatchObject({ count: 100, nextCursor: null });
    expect((await list(hub, '?limit=10')).count).toBe(10);
  });

  it('[API-38] a page of events too, and all pages together are the log', async () => {
    const { hub, all } = await largeHub(100);
    let cursor = firstCursor(hub);
    const seen: string[] = [];
    for (let more = true; more; ) {
      const text = await (await hub.fetch(`/api/v1/events?limit=1000&since=${cursor}`)).text();
      expect(text.length).toBeLessThan(1.2 * 1024 * 1024);
      const page = eventsAnswerSchema.parse(JSON.parse(text));
      for (const event of page.events) seen.push(fleetEventSchema.parse(event).nodeId);
      ({ cursor, more } = page);
    }
    expect(seen.sort()).toEqual(all);
  });

  it('[RES-10] a summary of as many values as nodes is made in pieces, and is whole', async () => {
    const hub = await hubs.start();
    const values = Array.from({ length: 1_000 }, (_, n) => `"${n}" ${'é'.repeat(60)}`);
    await register(
      hub,
      ...values.map((value, n) => ({
        nodeId: `n-${n}`,
        hostname: `n-${n}`,
        kind: `k${n}`,
        labels: { odd: value },
      })),
    );
    const response = await hub.fetch('/api/v1/summary?by=label:odd,label:none&by=label:odd');
    expect(response.headers.get('content-length')).toBeNull();
    expect(await response.json()).toMatchObject({
      total: 1_000,
      status: { online: 1_000, degraded: 0, unreachable: 0, offline: 0 },
      kind: Object.fromEntries(values.map((_, n) => [`k${n}`, 1])),
      location: {},
      labels: { odd: Object.fromEntries(values.map((value) => [value, 1])), none: {} },
      hub: { state: 'live' },
    });
  });

  it('[RES-10] are made no faster than they are read: who reads nothing costs little, and agents go first', async () => {
    const { hub } = await largeHub(1_000);
    const agent = await hub.agent({ nodeId: 'agent' });
    const readers = await Promise.all(Array.from({ length: 8 }, () => hub.rawSocket()));
    for (const reader of readers) {
      reader.socket.pause();
      reader.write('GET /api/v1/fleet/nodes HTTP/1.1\r\nHost: localhost\r\n\r\n');
    }
    for (let n = 0; n < 20; n += 1) await agent.ping();
    const whole = await (await hub.fetch('/api/v1/fleet/nodes')).json();
    expect(whole).toMatchObject({ count: 1_001 });
  });
});

/** The cursor before anything happened. */
function firstCursor(hub: TestHub): string {
  const codec = new CursorCodec(subscriptionKey({}, 'full'));
  return codec.encode(hub.hub.fleet.view.positions().map(({ epoch }) => ({ epoch, at: '0-0' })));
}
