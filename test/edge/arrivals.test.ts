import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Arrivals } from '../../server/edge/arrivals.ts';

const servers: Server[] = [];
const clients: Socket[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await Promise.all(
    servers.splice(0).map(async (server) => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }),
  );
});

/** A server that answers every request with its path, and remembers how many waited when it answered. */
async function listening() {
  const waiting: number[] = [];
  const server = createServer((request, response) => {
    waiting.push(arrivals.waiting);
    response.end(request.url);
  });
  const arrivals = new Arrivals(server);
  servers.push(server);
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1_000 });
  await once(server, 'listening');
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { server, arrivals, waiting, port: address.port };
}

async function client(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' });
  clients.push(socket);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

async function answerTo(socket: Socket, path: string): Promise<string> {
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  let answer = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    answer += text;
  });
  await once(socket, 'end');
  return answer.slice(answer.lastIndexOf('\n') + 1);
}

/** The event loop of both sides stands still until the kernel has all of these connections. */
async function atOnce(port: number, count: number): Promise<Socket[]> {
  return Promise.all(Array.from({ length: count }, () => client(port)));
}

describe('arrivals', () => {
  it('are served alone', async () => {
    const { port } = await listening();
    expect(await answerTo(await client(port), '/alone')).toBe('/alone');
  });

  it('are all served after a rush, each with what it sent while it waited', async () => {
    const { port } = await listening();
    const paths = Array.from({ length: 300 }, (_, index) => `/${index}`);
    const answers = await Promise.all(paths.map(async (path) => answerTo(await client(port), path)));
    expect(answers).toEqual(paths);
  });

  it('are taken in while they come, before anybody new is served', async () => {
    const { server, arrivals, port } = await listening();
    const taken: number[] = [];
    server.on('connection', () => taken.push(arrivals.waiting));
    const sockets = await atOnce(port, 200);
    await Promise.all(sockets.map((socket) => answerTo(socket, '/')));
    // Each found all those before it still waiting: nobody was served between the first and the last.
    expect(taken).toEqual(Array.from({ length: 200 }, (_, index) => index + 1));
  });

  it('that were lost while they waited are left out, and the others served', async () => {
    const { server, port } = await listening();
    const handled: Socket[] = [];
    server.once('connection', (socket: Socket) => {
      handled.push(socket);
      socket.destroy(new Error('reset by the peer'));
    });
    const lost = await client(port);
    const [ended, answer] = await Promise.all([
      once(lost, 'close'),
      client(port).then((socket) => answerTo(socket, '/next')),
    ]);
    expect(ended).toBeDefined();
    expect(handled).toHaveLength(1);
    expect(answer).toBe('/next');
  });

  it('are ended where the server is', async () => {
    const { server, arrivals, port } = await listening();
    const came = once(server, 'connection');
    const socket = connect({ port, host: '127.0.0.1' });
    clients.push(socket);
    await came;
    expect(arrivals.waiting).toBe(1);
    arrivals.end();
    expect(arrivals.waiting).toBe(0);
    await once(socket, 'close');
  });
});
