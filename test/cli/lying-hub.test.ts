import { createServer, type RequestListener } from 'node:http';
import { gzipSync } from 'node:zlib';
import { Command } from 'commander';
import { Server } from 'socket.io';
import { afterEach, describe, expect, test } from 'vitest';
import { CommandFailure } from '../../cli/api/failure.ts';
import { nodesCommand } from '../../cli/nodes.ts';
import { FleetFollower, type FollowerOptions } from '../../cli/watch/fleet-follower.ts';
import { Following } from '../../dashboard/store/following.ts';
import { gunzipText } from '../../dashboard/store/gunzip.ts';
import { CLIENT_LIMITS, summarize } from '../../shared/index.ts';
import { fleetNode } from '../support/fixtures.ts';

const ends: Array<() => unknown> = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** Something in a hub's place. */
async function liar(
  answer: RequestListener,
): Promise<{ url: string; server: ReturnType<typeof createServer> }> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  ends.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`, server };
}

const summary = (id: string) => summarize(fleetNode({ id }));

async function nodes(url: string, ...args: string[]): Promise<{ said: string; code: number }> {
  const ended = { said: '', code: 0 };
  const say = (text: string): void => {
    ended.said += text;
  };
  const exit = (code: number): void => {
    ended.code = code;
  };
  const io = {
    ...{ env: { ROLLCALL_URL: url }, out: say, err: say, exit },
    readerGone: () => new Promise<void>(() => {}),
  };
  const program = new Command().exitOverride().addCommand(nodesCommand(io));
  await program.parseAsync(['nodes', ...args], { from: 'user' }).catch((error: unknown) => {
    if (!(error instanceof CommandFailure)) throw error;
    ended.said += error.message;
    ended.code = error.exitCode;
  });
  return ended;
}

describe('an answer over HTTP', () => {
  test('[BOUND-1] that does not end is read no further than the bound', async () => {
    let sent = 0;
    const { url } = await liar((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const chunk = Buffer.alloc(1024 * 1024, ' ');
      const write = (): void => {
        while (!response.destroyed && response.write(chunk)) sent += chunk.length;
        sent += chunk.length;
      };
      response.on('drain', write);
      write();
    });
    const { said, code } = await nodes(url, 'ls');
    expect(said).toMatch(/^the hub answers with more than 64 MiB[^\n]*$/);
    expect(code).toBe(3);
    expect(sent).toBeLessThan(2 * CLIENT_LIMITS.answerBytes);
  });

  test('[BOUND-1] that unpacks to more is not unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(CLIENT_LIMITS.answerBytes + 1024, ' '));
    const { url } = await liar((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
      response.end(bomb);
    });
    expect(await nodes(url, 'get', 'n-1')).toMatchObject({
      code: 3,
      said: expect.stringContaining('64 MiB'),
    });
  });

  test.each<[string, (cursor: string | null) => object]>([
    ['without a node', () => ({ nodes: [], total: 1, nextCursor: `c${Math.random()}` })],
    ['that leads to itself', () => ({ nodes: [summary('n')], total: 1, nextCursor: 'same' })],
  ])('[BOUND-2] a page %s ends the list', async (_name, page) => {
    let asked = 0;
    const { url } = await liar((request, response) => {
      asked += 1;
      const cursor = new URL(request.url ?? '', url).searchParams.get('cursor');
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(page(cursor)));
    });
    const { said, code } = await nodes(url, 'ls');
    expect(said).toMatch(/^the list of the hub does not come to an end[^\n]*$/);
    expect(code).toBe(3);
    expect(asked).toBeLessThan(4);
  });

  test('[BOUND-2] that nests without end is one line', async () => {
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
    const { url } = await liar((_request, response) => {
      response.end(`{"id":"n-1","status":"online","metadata":${deep}}`);
    });
    expect(await nodes(url, 'get', 'n-1')).toMatchObject({
      code: 3,
      said: expect.stringContaining('too deep'),
    });
  });

  test.each([
    '',
    'null',
    '[]',
    '{"nodes":"all"}',
    '<html>',
    '{"nodes":[{"id":7}],"total":1,"nextCursor":null}',
  ])('[BOUND-2] %j is no answer of a hub', async (body) => {
    const { url } = await liar((_request, response) => void response.end(body));
    expect(await nodes(url, 'ls')).toMatchObject({
      code: 3,
      said: expect.stringMatching(/^[^\n]*does not answer like a Rollcall hub$/),
    });
  });

  test('[BOUND-2] a redirect in a circle ends', async () => {
    const { url } = await liar((_request, response) => {
      response.writeHead(302, { location: '/api/v1/nodes' });
      response.end();
    });
    expect(await nodes(url, 'ls')).toMatchObject({ code: 3, said: expect.stringContaining('redirect') });
  });
});

/** A dashboard's wire that answers as the test says. */
async function wire(
  subscribed: (
    socket: {
      emit(name: string, ...args: unknown[]): unknown;
    },
    ack: (answer: unknown) => void,
  ) => void,
) {
  const { url, server } = await liar((_request, response) => void response.end());
  const io = new Server(server, { transports: ['websocket'], maxHttpBufferSize: 1e8 });
  ends.push(() => io.close());
  io.on('connection', (socket) => {
    socket.on('subscribe', (_request: unknown, ack: (answer: unknown) => void) => subscribed(socket, ack));
  });
  return url;
}

const hub = { state: 'live', since: '2026-03-05T12:00:00.000Z', hubs: 1 };
const accepted = { ok: true, cursor: 'c', resumed: false, total: 1, hub };

function follow(url: string, options: Partial<FollowerOptions> = {}) {
  const follower = new FleetFollower({ hubUrl: url, resubscribeDelayMs: 5, ...options });
  ends.push(() => {
    follower.removeAllListeners();
    follower.stop();
  });
  return follower;
}

describe('a picture', () => {
  test('[BOUND-3] in gzip that was not asked for is not unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, ' '));
    const url = await wire((socket, ack) => {
      ack(accepted);
      socket.emit('snapshot', { gzip: bomb, remaining: 0 });
    });
    const follower = follow(url);
    const reason = await new Promise<string>((resolve) => {
      follower.once('resync', resolve);
      follower.start();
    });
    expect(reason).toBe('a page of the snapshot could not be read');
  });

  test('[BOUND-3] in gzip that was asked for is unpacked no further than the bound', async () => {
    const bomb = gzipSync(Buffer.alloc(CLIENT_LIMITS.messageBytes + 1024, ' '));
    const url = await wire((socket, ack) => {
      ack(accepted);
      socket.emit('snapshot', { gzip: bomb, remaining: 0 });
    });
    const follower = follow(url, { gzip: true });
    const reason = await new Promise<string>((resolve) => {
      follower.once('resync', resolve);
      follower.start();
    });
    expect(reason).toBe('a page of the snapshot could not be read');
    await expect(gunzipText(new Uint8Array(bomb))).rejects.toThrow();
    expect(await gunzipText(new Uint8Array(gzipSync('[1]')))).toBe('[1]');
  });

  test('[BOUND-3] whose end comes no nearer is begun anew, later each time', async () => {
    let pages = 0;
    let subscribed = 0;
    const url = await wire((socket, ack) => {
      subscribed += 1;
      ack(accepted);
      for (let page = 0; page < 50; page += 1) {
        pages += 1;
        socket.emit('snapshot', { nodes: [summary(`n-${pages}`)], remaining: 1 });
      }
    });
    const follower = follow(url);
    let resyncs = 0;
    await new Promise<void>((resolve) => {
      follower.on('resync', () => {
        resyncs += 1;
        if (resyncs === 4) resolve();
      });
      follower.start();
    });
    expect(follower.nodes.size).toBe(0);
    expect(subscribed).toBe(4);
  });

  test('[BOUND-4] a message over the bound ends the connection', async () => {
    const url = await wire((socket, ack) => {
      ack(accepted);
      const hostname = 'x'.repeat(CLIENT_LIMITS.messageBytes);
      socket.emit('snapshot', { nodes: [{ ...summary('n'), hostname }], remaining: 0 });
    });
    const follower = follow(url);
    await new Promise<void>((resolve) => {
      follower.once('lost', () => resolve());
      follower.start();
    });
    expect(follower.nodes.size).toBe(0);
  });

  test.each<[string, (socket: { emit(name: string, ...args: unknown[]): unknown }) => void]>([
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
    const url = await wire((socket, ack) => {
      ack(accepted);
      send(socket);
    });
    const follower = follow(url, { keptBytes: 16 * 1024 });
    const why = await new Promise<string>((resolve) => {
      follower.once('broken', resolve);
      follower.start();
    });
    expect(why).toMatch(/^sends more than [^\n]*, which is not kept/);
    expect(follower.state).toBe('stopped');
  });
});

test('[BOUND-5] the page begins anew too where a picture comes no nearer to its end', async () => {
  const reasons: string[] = [];
  const nothing = (): void => {};
  const following = new Following({
    ...{ picture: nothing, changed: nothing, waiting: nothing, progress: nothing, hub: nothing },
    startOver: (reason) => void reasons.push(reason),
  });
  following.asked();
  expect(following.answered(accepted)).toBe('snapshot');
  following.page({ nodes: [summary('a')], remaining: 1 });
  following.page({ nodes: [summary('b')], remaining: 1 });
  await new Promise((resolve) => setImmediate(resolve));
  expect(reasons).toEqual(['a page of the snapshot could not be read']);
});
