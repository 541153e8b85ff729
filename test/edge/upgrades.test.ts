import { afterEach, describe, expect, test } from 'vitest';
import { TestHubs } from '../support/test-hub.ts';
import { until } from '../support/until.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

const h2c =
  'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n';

/** Everything that a hub answers to these bytes, until so many answers are whole. */
async function answersTo(text: string, count: number): Promise<string[]> {
  const hub = await hubs.start();
  const { socket } = await hub.rawSocket();
  let received = '';
  socket.on('data', (data: Buffer) => {
    received += data.toString();
  });
  socket.write(text);
  const heads = () => received.match(/HTTP\/1\.1 \d{3} /g) ?? [];
  await until('all is answered', () => heads().length === count && /[}\]]\s*$/.test(received));
  socket.destroy();
  return received.split(/(?=HTTP\/1\.1 \d{3} )/);
}

describe('an upgrade to what a hub does not speak', () => {
  test.each([
    ['h2c', h2c],
    ['foo', 'Connection: upgrade\r\nUpgrade: foo\r\n'],
    ['several', 'Connection: keep-alive, Upgrade\r\nUpgrade: h2c, foo/2\r\n'],
  ])('[ADM-11] is ignored: %s', async (_name, headers) => {
    const [answer] = await answersTo(`GET /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`, 1);
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toContain('"nodes":[]');
  });

  test('[ADM-11] a body comes with it, and another request after it', async () => {
    const body = JSON.stringify({ node: { nodeId: 'n-1', hostname: 'n-1' } });
    const head = `Host: localhost\r\nContent-Type: application/json\r\n${h2c}`;
    const [first, second] = await answersTo(
      `POST /api/v1/nodes HTTP/1.1\r\n${head}Content-Length: ${body.length}\r\n\r\n${body}` +
        `GET /api/v1/nodes/n-1 HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      2,
    );
    expect(first).toMatch(/^HTTP\/1\.1 201 /);
    expect(second).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('[ADM-11] a connection may ask for it again and again', async () => {
    const hub = await hubs.start();
    const { socket } = await hub.rawSocket();
    let received = '';
    socket.on('data', (data: Buffer) => {
      received += data.toString();
    });
    for (let times = 1; times <= 30; times += 1) {
      socket.write(`GET /healthz HTTP/1.1\r\nHost: localhost\r\n${h2c}\r\n`);
      await until('it is answered', () => received.match(/HTTP\/1\.1 200 /g)?.length === times);
    }
    socket.destroy();
  });

  test('[ADM-11] what stands in other headers stays as it came', async () => {
    const [answer] = await answersTo(
      `GET /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n${h2c}\r\n`,
      1,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('two Host headers');
  });
});

test.each(['example.com:443', '/api/v1/nodes'])('[ADM-12] CONNECT %s is answered 501', async (target) => {
  const hub = await hubs.start();
  const raw = await hub.rawSocket();
  raw.write(`CONNECT ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  expect(await raw.head()).toMatch(/^HTTP\/1\.1 501 /);
  await raw.gone;
});
