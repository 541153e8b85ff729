import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { RequestLine, WAITING_OF_ONE } from '../../server/edge/request-line.ts';
import { systemClock } from '../../server/runtime/clock.ts';
import { RawSocket } from '../support/raw-socket.ts';
import { TestHubs } from '../support/test-hub.ts';
import { until } from '../support/until.ts';

const ends: Array<() => void> = [];
const hubs = new TestHubs();
afterEach(async () => {
  for (const end of ends.splice(0)) end();
  await hubs.close();
});

/** A server whose requests are answered by the test. */
async function serve(handle: (request: IncomingMessage, response: ServerResponse) => void) {
  const server: Server = createServer(handle);
  const line = new RequestLine(server, systemClock);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  ends.push(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('not listening');
  return { line, port: (address satisfies AddressInfo).port };
}

async function open(port: number): Promise<RawSocket> {
  const raw = await RawSocket.connect(port);
  ends.push(() => raw.destroy());
  return raw;
}

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
const many = (count: number): string => Array.from({ length: count }, (_, n) => get(`/${n}`)).join('');

describe('requests that do not wait for answers', () => {
  it('[RES-1] begin one after the other, each once the answer before it was taken', async () => {
    const begun: string[] = [];
    const big = Buffer.alloc(16 * 1024 * 1024, 'x');
    const { line, port } = await serve(({ url }, response) => {
      begun.push(url ?? '');
      response.end(url === '/0' ? big : 'small');
    });
    const client = connect(port, '127.0.0.1');
    ends.push(() => void client.destroy());
    client.pause();
    client.write(many(50));
    await until('the others wait', () => line.waiting === 49);
    expect(begun).toEqual(['/0']);
    let answers = 0;
    client.on('data', (data: Buffer) => {
      answers += data.toString('latin1').match(/HTTP\/1\.1 200/g)?.length ?? 0;
    });
    client.resume();
    await until('all were answered', () => answers === 50);
    expect(begun).toEqual(Array.from({ length: 50 }, (_, n) => `/${n}`));
    expect(line.waiting).toBe(0);
  });

  it('[RES-1] let others have their turn between: connections that come later are not behind all of them', async () => {
    const begun: string[] = [];
    const { port } = await serve(({ url }, response) => {
      begun.push(url ?? '');
      // Each takes as long as a turn may.
      const until = performance.now() + 6;
      while (performance.now() < until);
      response.end();
    });
    const raw = await open(port);
    raw.write(many(40));
    await until('the first was begun', () => begun.length > 0);
    const other = await open(port);
    other.write(get('/other'));
    await other.head();
    expect(begun.indexOf('/other')).toBeLessThan(40);
    await until('all were begun', () => begun.length === 41);
  });

  it('[RES-2] end their connection where more than 100 wait, and no other', async () => {
    const begun: string[] = [];
    const { line, port } = await serve(({ url }) => void begun.push(url ?? ''));
    const [one, flood] = [await open(port), await open(port)];
    one.write(many(WAITING_OF_ONE + 1));
    await until('all of one wait', () => line.waiting === WAITING_OF_ONE);
    flood.write(many(1_300));
    await flood.gone;
    expect(begun).toEqual(['/0', '/0']);
    expect(line.waiting).toBe(WAITING_OF_ONE);
    one.destroy();
    await until('who is gone waits no more', () => line.waiting === 0);
  });

  it('[RES-2] and agents are answered while ten connections send 1,300 each and read nothing', async () => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1' });
    const floods = await Promise.all(Array.from({ length: 10 }, () => hub.rawSocket()));
    for (const flood of floods) {
      flood.socket.pause();
      flood.write(get('/openapi.json').repeat(1_300));
    }
    await agent.ping();
    expect((await hub.fetch('/healthz')).status).toBe(200);
    for (const flood of floods) flood.socket.resume();
    await Promise.all(floods.map(({ gone }) => gone));
    await agent.ping();
    expect(hub.node('n-1')).toMatchObject({ status: 'online' });
  });

  it('[RES-3] an upgrade behind a request that is not answered ends the connection', async () => {
    const hub = await hubs.start();
    const raw = await hub.rawSocket();
    const upgrade =
      'GET /agent HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
    raw.write(get('/openapi.json') + upgrade);
    await raw.gone;
    expect(raw.text).not.toContain('101 Switching');
    const after = await hub.rawSocket();
    after.write(get('/healthz'));
    await after.head();
    after.write(upgrade);
    expect(await after.head()).toBeDefined();
  });

  it('[RES-11] end a connection a second after an answer that did not wait for the body', async () => {
    const { port } = await serve(
      (_request, response) => void response.writeHead(401, { 'Content-Length': 0 }).end(),
    );
    const raw = await open(port);
    raw.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf');
    expect(await raw.head()).toMatch(/^HTTP\/1\.1 401 /);
    await raw.gone;
    const whole = await open(port);
    whole.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nhalf');
    await whole.head();
    whole.write('half');
    whole.write(get('/next'));
    expect(await whole.head()).toMatch(/^HTTP\/1\.1 401 /);
  });
});
