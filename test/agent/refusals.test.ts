import { createServer } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { FleetAgent } from '../../agent/index.ts';
import { until } from '../support/until.ts';

const closers: Array<() => unknown> = [];
afterEach(() => Promise.all(closers.splice(0).map((close) => close())));

/** What an agent says of a server that answers its upgrade with this body. */
async function saidOf(body: string): Promise<string> {
  const server = createServer();
  server.on('upgrade', (_request, socket) => {
    socket.on('error', () => {});
    const head = `HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(body)}`;
    socket.end(`${head}\r\n\r\n${body}`);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const agent = new FleetAgent({ hubUrl: `ws://127.0.0.1:${address.port}/agent`, node: { hostname: 'one' } });
  closers.push(
    () => agent.stop(),
    () => server.close(),
  );
  let said: string | undefined;
  agent.on('closed', ({ reason }) => {
    said ??= reason;
  });
  agent.start().catch(() => {});
  return until('it said why', () => said);
}

describe('an agent whose upgrade is refused', () => {
  it.each([
    [
      'with the reason of the hub',
      JSON.stringify({ error: 'Unauthorized', message: 'the token is wrong' }),
      'the hub answered HTTP 401: the token is wrong',
    ],
    [
      'with a reason that would steer a terminal',
      JSON.stringify({ error: 'Unauthorized', message: 'no\u001b[2J way' }),
      'the hub answered HTTP 401: no\\u001b[2J way',
    ],
    ['by another server', '<h1>401</h1>', 'the hub answered HTTP 401'],
    ['without a body', '', 'the hub answered HTTP 401'],
  ])('[CLI-19] says so: %s', async (_how, body, expected) => {
    expect(await saidOf(body)).toEqual(
      typeof expected === 'string' ? expected : expect.stringMatching(expected),
    );
  });
});
