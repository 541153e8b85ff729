import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { Listener } from '../../server/edge/listener.ts';
import { systemClock } from '../../server/runtime/clock.ts';
import { silentLog } from '../../server/runtime/log.ts';

const listeners: Listener[] = [];
afterEach(async () => {
  await Promise.all(listeners.splice(0).map((listener) => listener.close()));
});

function listener(): Listener {
  const made = new Listener({
    ...{ clock: systemClock, log: silentLog },
    openFiles: undefined,
    behindProxy: false,
  });
  listeners.push(made);
  return made;
}

/** A client's whole answer to a request at this address. */
async function answerOf({ address, port }: Pick<AddressInfo, 'address' | 'port'>, path: string) {
  const socket = connect(port, address);
  socket.end(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  const parts: Buffer[] = [];
  socket.on('data', (part) => parts.push(part));
  await once(socket, 'close');
  return Buffer.concat(parts).toString();
}

describe('a listener', () => {
  test('hands requests to its handler, at every address of localhost', async () => {
    const made = listener();
    made.handle(({ url }, response) => void response.end(`at ${url}`));
    const { port } = await made.listen({ host: 'localhost', port: 0 });
    const all = await lookup('localhost', { all: true });
    expect(all.length).toBeGreaterThan(0);
    for (const { address } of all) expect(await answerOf({ address, port }, '/a')).toMatch(/at \/a$/);
  });

  test('answers 503 before it has a handler, and what is no request by itself', async () => {
    const made = listener();
    const at = await made.listen({ host: '127.0.0.1', port: 0 });
    expect(await answerOf(at, '/')).toMatch(/^HTTP\/1\.1 503 /);
    expect(await answerOf(at, 'a path')).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('says where the address cannot be had', async () => {
    const { port } = await listener().listen({ host: '127.0.0.1', port: 0 });
    await expect(listener().listen({ host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
  });

  test('ends a connection on which no request comes, once it closes', async () => {
    const made = listener();
    const { port } = await made.listen({ host: '127.0.0.1', port: 0 });
    const idle = connect(port, '127.0.0.1');
    idle.on('error', () => {});
    await once(idle, 'connect');
    const closed = once(idle, 'close');
    await made.close();
    await closed;
  });
});
