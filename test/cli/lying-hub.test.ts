import { createServer, type RequestListener } from 'node:http';
import { gzipSync } from 'node:zlib';
import { Command } from 'commander';
import { afterEach, describe, expect, test } from 'vitest';
import { CommandFailure } from '../../cli/api/failure.ts';
import { nodesCommand } from '../../cli/nodes.ts';
import { CLIENT_LIMITS, summarize } from '../../shared/index.ts';
import { fleetNode } from '../support/fixtures.ts';

const ends: Array<() => unknown> = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** Something in a hub's place. */
async function liar(answer: RequestListener): Promise<{ url: string }> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  ends.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}` };
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
