import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { gunzipText } from '../../client/gunzip.ts';
import { FleetClient, type FleetClientOptions, SUMMARIES } from '../../client/index.ts';
import { CLIENT_LIMITS, type NodeSummary, summarize } from '../../shared/index.ts';
import { fleetNode } from '../support/fixtures.ts';
import { soon } from '../support/soon.ts';
import { accepted, type Script, startScriptedHub } from './scripted-hub.ts';

const ends: Array<() => unknown> = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A client of a hub that does as the script says. */
async function follow(
  script: Script,
  options: Partial<FleetClientOptions<NodeSummary>> = {},
): Promise<FleetClient<NodeSummary>> {
  const hub = await startScriptedHub(script);
  ends.push(() => hub.close());
  const delays = { reconnectDelayMs: 5, resubscribeDelayMs: 5 };
  const client = new FleetClient({ hubUrl: hub.url, nodes: SUMMARIES, ...delays, ...options });
  ends.push(() => client.stop());
  return client;
}

const summary = (id: string) => summarize(fleetNode({ id }));

const resyncOf = (client: FleetClient<NodeSummary>): Promise<string> =>
  new Promise((resolve) => {
    client.once('resync', resolve);
    client.start();
  });

describe('what a client takes from a hub', () => {
  test.each([
    ['that was not asked for is not unpacked', 64 * 1024 * 1024, false],
    ['that was asked for is unpacked no further than the bound', CLIENT_LIMITS.messageBytes + 1024, true],
  ])('[BOUND-3] a page in gzip %s', async (_name, bytes, gzip) => {
    const bomb = gzipSync(Buffer.alloc(bytes, ' '));
    const client = await follow(
      (socket, ack) => {
        ack(accepted);
        socket.emit('snapshot', { gzip: bomb, remaining: 0 });
      },
      { gzip },
    );
    expect(await resyncOf(client)).toBe('a page of the snapshot could not be read');
  });

  test('[BOUND-5] a page that unpacks to more than a message may have is broken', async () => {
    const bomb = gzipSync(Buffer.alloc(1024, ' '));
    await expect(gunzipText(new Uint8Array(bomb), 1023)).rejects.toThrow();
    expect(await gunzipText(new Uint8Array(gzipSync('[1]')), 3)).toBe('[1]');
  });

  test('[BOUND-3] a picture whose end comes no nearer is begun anew', async () => {
    let pages = 0;
    let subscribed = 0;
    const client = await follow((socket, ack) => {
      subscribed += 1;
      ack(accepted);
      for (let page = 0; page < 50; page += 1) {
        pages += 1;
        socket.emit('snapshot', { nodes: [summary(`n-${pages}`)], remaining: 1 });
      }
    });
    let resyncs = 0;
    client.on('resync', () => {
      resyncs += 1;
    });
    client.start();
    await soon(() => resyncs === 4);
    expect(client.nodes.size).toBe(0);
    expect(subscribed).toBe(4);
  });

  test('[BOUND-3] a picture in more pages than any has is begun anew', async () => {
    const client = await follow((socket, ack) => {
      ack(accepted);
      for (let page = 0; page <= CLIENT_LIMITS.pages; page += 1)
        socket.emit('snapshot', { nodes: [], remaining: 1_000_000 - page });
    });
    expect(await resyncOf(client)).toBe('a page of the snapshot could not be read');
  });

  test.each([
    [
      'a page',
      'snapshot',
      { nodes: [{ id: 'a' }], remaining: 0 },
      'a page of the snapshot could not be read',
    ],
    ['a count', 'snapshot', { nodes: [], remaining: -1 }, 'a page of the snapshot could not be read'],
    ['changes', 'changes', { cursor: 'c', events: [{}] }, 'changes came before the snapshot was whole'],
  ])('[BOUND-3] %s that is none is a gap', async (_name, message, payload, reason) => {
    const client = await follow((socket, ack) => {
      ack(accepted);
      socket.emit(message, payload);
    });
    expect(await resyncOf(client)).toBe(reason);
  });

  test('[BOUND-4] a message over the bound ends the connection', async () => {
    const client = await follow((socket, ack) => {
      ack(accepted);
      const hostname = 'x'.repeat(CLIENT_LIMITS.messageBytes);
      socket.emit('snapshot', { nodes: [{ ...summary('n'), hostname }], remaining: 0 });
    });
    await new Promise<void>((resolve) => {
      client.once('lost', () => resolve());
      client.start();
    });
    expect(client.nodes.size).toBe(0);
  });

  test.each<[string, (socket: Parameters<Script>[0]) => void]>([
    [
      'in a picture',
      (socket) => {
        for (let page = 0; page < 100; page += 1)
          socket.emit('snapshot', { nodes: [summary(`n-${page}`)], remaining: 1_000 - page });
      },
    ],
    [
      'by changes',
      (socket) => {
        socket.emit('snapshot', { nodes: [], remaining: 0 });
        for (let n = 0; n < 100; n += 1) {
          const node = fleetNode({ id: `n-${n}`, seq: 1 });
          const about = { seq: 1, type: 'registered', nodeId: node.id, at: node.createdAt, from: null };
          const event = { ...about, to: 'online', reason: 'registered', evidence: {}, node };
          socket.emit('changes', { cursor: 'c', events: [event] });
        }
      },
    ],
  ])('[BOUND-4] more than is kept, %s, ends it with a line', async (_name, send) => {
    const client = await follow(
      (socket, ack) => {
        ack(accepted);
        send(socket);
      },
      { keptBytes: 16 * 1024 },
    );
    const ended = await new Promise<[string, string]>((resolve) => {
      client.once('ended', (code, message) => resolve([code, message]));
      client.start();
    });
    expect(ended).toEqual(['too_much', expect.stringMatching(/^sends more than [^\n]*, which is not kept/)]);
    expect(client.state.kind).toBe('ended');
  });

  test('[BOUND-3] a hub that throws its client out again and again is asked later each time', async () => {
    let subscribed = 0;
    const client = await follow(
      (socket) => {
        subscribed += 1;
        socket.disconnect(true);
      },
      { reconnectDelayMs: 20 },
    );
    let lost = 0;
    client.on('lost', () => {
      lost += 1;
    });
    client.start();
    const began = performance.now();
    await soon(() => lost === 5);
    // Pauses of 20, 40, 80 and 160 ms, each at least a fifth.
    expect(performance.now() - began).toBeGreaterThan((20 + 40 + 80 + 160) / 5);
    expect(subscribed).toBe(5);
  });
});
