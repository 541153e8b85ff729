import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterEach, describe, expect, it, test } from 'vitest';
import { encodingFor } from '../../server/http/static-answer.ts';
import { TestHubs } from '../support/test-hub.ts';
import { problemOf } from './harness.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

test.each([
  [undefined, 'identity'],
  ['', 'identity'],
  ['gzip, deflate, br', 'br'],
  ['gzip', 'gzip'],
  ['GZIP;q=0.5', 'gzip'],
  ['br;q=0, gzip;q=0.1', 'gzip'],
  ['*', 'br'],
  ['br;q=0, *;q=0.5', 'gzip'],
  ['identity', 'identity'],
  ['*;q=0', 'identity'],
  ['br;q=nonsense', 'identity'],
  ['deflate', 'identity'],
])('Accept-Encoding: %s is answered in %s', (header, encoding) => {
  expect(encodingFor(header)).toBe(encoding);
});

/** As it comes over the wire: `fetch` unpacks. */
async function raw(url: string, headers: Record<string, string>) {
  const { request } = await import('node:http');
  return new Promise<{ status: number; headers: Record<string, unknown>; body: Buffer }>(
    (resolve, reject) => {
      request(url, { headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks),
          }),
        );
      })
        .on('error', reject)
        .end();
    },
  );
}

describe('the documentation', () => {
  it.each(['/openapi.json', '/docs/json', '/docs/yaml', '/asyncapi.json'])(
    '[API-43] %s is made once, comes compressed, and not again to who has it',
    async (path) => {
      const hub = await hubs.start();
      const plain = await raw(`${hub.url}${path}`, {});
      const br = await raw(`${hub.url}${path}`, { 'accept-encoding': 'gzip, br' });
      const gzip = await raw(`${hub.url}${path}`, { 'accept-encoding': 'gzip' });
      expect([plain.status, br.status, gzip.status]).toEqual([200, 200, 200]);
      expect(brotliDecompressSync(br.body).equals(plain.body)).toBe(true);
      expect(gunzipSync(gzip.body).equals(plain.body)).toBe(true);
      expect(br.body.length).toBeLessThan(plain.body.length / 4);
      expect([br.headers['content-encoding'], br.headers.vary]).toEqual(['br', 'Accept-Encoding']);
      const tags = [plain, br, gzip].map(({ headers }) => String(headers.etag));
      expect(new Set(tags).size).toBe(3);
      const again = await raw(`${hub.url}${path}`, {
        'accept-encoding': 'br',
        'if-none-match': `"other", W/${tags[1]}`,
      });
      expect([again.status, again.body.length, again.headers.etag]).toEqual([304, 0, tags[1]]);
      const head = await hub.fetch(path, { method: 'HEAD', headers: { 'accept-encoding': 'identity' } });
      expect(head.headers.get('content-length')).toBe(String(plain.body.length));
    },
  );

  it('[API-44] is not there with DOCS=false', async () => {
    const hub = await hubs.start({ settings: { DOCS: 'false' } });
    for (const path of ['/docs', '/docs/', '/docs/json', '/openapi.json', '/asyncapi.json']) {
      expect(await problemOf(await hub.fetch(path)), path).toMatchObject({ code: 'not_found' });
    }
    expect(await (await hub.fetch('/')).json()).not.toHaveProperty('openapi');
    expect((await hub.fetch('/api/v1/nodes')).status).toBe(200);
  });
});

describe('headers of every answer', () => {
  it.each([
    ['/healthz', 200],
    ['/readyz', 200],
    ['/', 200],
    ['/api/v1/nodes', 200],
    ['/api/v1/nodes?limit=x', 400],
    ['/nothing', 404],
    ['/api/v1/nodes/%zz', 400],
    ['/metrics', 200],
    ['/openapi.json', 200],
    ['/docs/', 200],
    ['/docs/static/swagger-ui.css', 200],
    ['/api/v1/events', 200],
  ])('[API-45] %s is kept by nobody, guessed at by nobody, and shown in no frame', async (path, status) => {
    const hub = await hubs.start();
    const { headers, ...answer } = await raw(`${hub.url}${path}`, {});
    expect(answer.status).toBe(status);
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['x-frame-options']).toBe('DENY');
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
    expect(headers['referrer-policy']).toBe('no-referrer');
    const changesNever = path.startsWith('/docs/static') || path === '/openapi.json';
    if (!changesNever) expect(headers['cache-control']).toBe('no-store');
    else expect(headers['cache-control']).not.toContain('no-store');
  });

  it('[API-45] a 405, a stream, a refused upgrade and what is no request as well', async () => {
    const hub = await hubs.start();
    expect((await hub.fetch('/healthz', { method: 'POST' })).headers.get('cache-control')).toBe('no-store');
    const stop = new AbortController();
    const stream = await hub.fetch('/api/v1/events', {
      headers: { accept: 'text/event-stream' },
      signal: stop.signal,
    });
    expect(stream.headers.get('x-content-type-options')).toBe('nosniff');
    stop.abort();
    const upgrade = await hub.rawSocket();
    expect(await upgrade.upgrade('/nothing')).toContain('nosniff');
    for (const [bytes, status] of [
      ['hello\r\n\r\n', '400'],
      [`GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`, '431'],
    ] as const) {
      const none = await hub.rawSocket();
      none.write(bytes);
      const head = await none.head();
      expect(head).toContain(`HTTP/1.1 ${status} `);
      expect(head).toContain('no-store');
    }
  });
});
