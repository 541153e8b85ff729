import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { Arrivals } from '../../server/edge/arrivals.ts';
import { Connections } from '../../server/edge/connections.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { soon } from '../support/soon.ts';

const servers: Server[] = [];
const clients: Socket[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** A server whose requests to `/known` show a right token. */
async function listening(openFiles: number, behindProxy = false) {
  const clock = new FakeClock();
  const lines: object[] = [];
  const write = (fields: object, message: string) => void lines.push({ ...fields, message });
  const log = { debug: write, info: write, warn: write, error: write };
  const server = createServer((request, response) => {
    if (request.url === '/known') connections.known(request.socket);
    response.end();
  });
  const connections = new Connections({ server, clock, log, openFiles, behindProxy });
  new Arrivals(server, connections);
  servers.push(server);
  server.listen({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const { port } = address;
  const open = async (count: number): Promise<Socket[]> => {
    const before = connections.strangers;
    const ended = connections.ended.stranger + connections.ended.full;
    const opened = await Promise.all(
      Array.from({ length: count }, async () => {
        const socket = connect({ port, host: '127.0.0.1' });
        clients.push(socket);
        socket.on('error', () => {});
        await once(socket, 'connect');
        return socket;
      }),
    );
    await soon(() => {
      const gone = connections.ended.stranger + connections.ended.full - ended;
      return connections.strangers + gone >= before + count;
    });
    return opened;
  };
  return { clock, connections, lines, open };
}

async function ask(socket: Socket, path: string): Promise<void> {
  const answered = once(socket, 'data');
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await answered;
}

describe('connections on which no right token was shown', () => {
  test('[LIM-30] are ended, the oldest first, where one address has too many that had time to show one', async () => {
    const { clock, connections, open } = await listening(20_000);
    const [first] = await open(250);
    if (!first) throw new Error('nothing is open');
    const closed = new Promise((resolve) => first.on('close', resolve));
    await open(10);
    expect(connections.strangers).toBe(260);
    await clock.advance(3_000);
    await open(1);
    await closed;
    expect(connections.strangers).toBe(256);
    expect(connections.ended).toEqual({ stranger: 5, full: 0 });
  });

  test('[LIM-30] that show one count no more, and stay', async () => {
    const { clock, connections, open } = await listening(80);
    const agents = await open(15);
    for (const agent of agents) await ask(agent, '/known');
    expect(connections.strangers).toBe(0);
    await open(15);
    await clock.advance(3_000);
    await open(5);
    expect(connections.strangers).toBe(15);
    expect(agents.every((agent) => !agent.destroyed)).toBe(true);
  });

  test('[LIM-30] of a proxy are bounded together only', async () => {
    const { clock, connections, open } = await listening(20_000, true);
    await open(300);
    await clock.advance(3_000);
    await open(1);
    expect(connections.strangers).toBe(301);
  });

  test('are forgotten where they close', async () => {
    const { connections, open } = await listening(1_000);
    for (const socket of await open(3)) socket.destroy();
    await soon(() => connections.strangers === 0);
  });
});

describe('as descriptors run short', () => {
  test('[LIM-31] connections without a request and strangers go, and those with a token find room', async () => {
    const { connections, lines, open } = await listening(40);
    expect(connections.most).toBe(30);
    const idle = await open(20);
    for (const socket of idle) await ask(socket, '/known');
    await open(9);
    const newest = await open(3);
    for (const socket of newest) await ask(socket, '/known');
    expect(connections.ended.full).toBe(0);
    await soon(() => idle.every((socket) => socket.destroyed || socket.readableEnded));
    expect(lines).toEqual([]);
  });

  test('[LIM-32] and there is nobody to spare: the next ones are ended, and once a minute a line says what to do', async () => {
    const { clock, connections, lines, open } = await listening(40);
    const busy = await open(30);
    for (const socket of busy) connections.known(socket);
    // Each has begun a request: none is idle.
    for (const socket of busy)
      socket.write('GET /known HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n');
    await soon(() => connections.strangers === 0);
    await open(2);
    expect(connections.ended.full).toBe(2);
    await open(1);
    expect(lines).toMatchObject([{ why: 'EMFILE', most: 30, times: 1 }]);
    await clock.advance(60_000);
    await open(1);
    expect(lines).toMatchObject([{ times: 1 }, { why: 'EMFILE', times: 3 }]);
  });
});
