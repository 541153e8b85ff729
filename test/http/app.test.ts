import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { fuzzing } from '../support/fuzz.ts';
import { TestHubs } from '../support/test-hub.ts';
import { until } from '../support/until.ts';
import { list, problemOf, register } from './harness.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

describe('paths and methods', () => {
  test.each([
    '/nothing',
    '/api',
    '/api/v1',
    '/api/v2/nodes',
    '/api/v1/nodes/n-1/stats',
    '/API/V1/NODES',
    '/agent',
    '/socket.io',
    '/socket.io/socket.io.js',
    '/healthz/',
    '//healthz',
    '/__proto__',
  ])('[API-7] %s is not there: 404 with problem details', async (path) => {
    const hub = await hubs.start();
    expect(await problemOf(await hub.fetch(path))).toMatchObject({ status: 404, code: 'not_found' });
  });

  const allowed: Record<string, string> = {
    '/api/v1/nodes': 'GET, HEAD, POST',
    '/api/v1/nodes/n-1': 'GET, HEAD, DELETE',
    '/healthz': 'GET, HEAD',
    '/readyz': 'GET, HEAD',
    '/': 'GET, HEAD',
  };
  const wrongMethods = Object.entries(allowed).flatMap(([path, allow]) =>
    ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
      .filter((method) => !allow.includes(method))
      .map((method): [string, string, string] => [method, path, allow]),
  );
  test.each(wrongMethods)('[API-7] %s %s is answered 405, naming %s', async (method, path, allow) => {
    const hub = await hubs.start();
    await register(hub, { nodeId: 'n-1' });
    const response = await hub.fetch(path, { method });
    expect(response.headers.get('Allow')).toBe(allow);
    expect(await problemOf(response)).toMatchObject({ status: 405, code: 'method_not_allowed' });
    expect(hub.node('n-1')).toMatchObject({ seq: 1 });
  });

  test.each([
    ['text', 'text/plain', 'hello', [415, 404]],
    ['JSON', 'application/json', '{}', [400, 404]],
    ['broken JSON', 'application/json', '{', [400, 400]],
    ['poisoned JSON', 'application/json', '{"__proto__":{"x":1}}', [400, 404]],
    ['a list', 'application/json', '[]', [400, 400]],
    ['a form', 'application/x-www-form-urlencoded', 'a=b', [415, 404]],
    ['something', 'x/y', 'z', [415, 404]],
    ['70 kB', 'application/json', `"${'x'.repeat(70_000)}"`, [413, 413]],
  ])('[API-6] a POST of %s is refused with problem details', async (_name, type, body, statuses) => {
    const hub = await hubs.start();
    for (const [index, path] of ['/api/v1/nodes', '/nothing'].entries()) {
      const response = await hub.fetch(path, { method: 'POST', headers: { 'Content-Type': type }, body });
      expect((await problemOf(response)).status).toBe(statuses[index]);
    }
    expect((await hub.fetch('/healthz')).status).toBe(200);
  });

  test.each(['/api/v1/nodes', '/api/v1/nodes/n-1', '/healthz', '/readyz', '/'])(
    '[API-30] HEAD %s is its GET without the body',
    async (path) => {
      const hub = await hubs.start();
      await register(hub, { nodeId: 'n-1' });
      const [get, head] = [await hub.fetch(path), await hub.fetch(path, { method: 'HEAD' })];
      expect([head.status, head.headers.get('Content-Type')]).toEqual([200, get.headers.get('Content-Type')]);
      const lengthOf = ({ headers }: Response) => headers.get('Content-Length');
      // The milliseconds in /readyz have one digit more at times.
      if (lengthOf(head) !== lengthOf(get))
        await until('both have one length', async () => {
          const [again, headAgain] = [await hub.fetch(path), await hub.fetch(path, { method: 'HEAD' })];
          return lengthOf(again) === lengthOf(headAgain);
        });
      expect(await head.text()).toBe('');
    },
  );

  test('[API-30] HEAD of what is not there is 404', async () => {
    const hub = await hubs.start();
    expect((await hub.fetch('/api/v1/nodes/n-1', { method: 'HEAD' })).status).toBe(404);
  });
});

describe('requests that are hardly any', () => {
  const targets: Array<[string, string, RegExp]> = [
    ['a broken escape', '/api/v1/nodes/%zz', /^400$/],
    ['half an escape', '/api/v1/nodes/%e4', /^400$/],
    ['a broken escape in a query', '/api/v1/nodes?q=%zz', /^200$/],
    ['a URL of 10,000 characters', `/api/v1/nodes?q=${'x'.repeat(10_000)}`, /^400$/],
    ['a URL of 100,000 characters', `/${'x'.repeat(100_000)}`, /^431$/],
    ['the whole URL', 'http://localhost/healthz', /^200$/],
    ['a whole URL that is none', 'http://[/api/v1/nodes', /^400$/],
    ['an asterisk', '*', /^200$/],
    ['no slash', 'api/v1/nodes', /^(400|404)$/],
    ['dots', '/../../etc/passwd', /^404$/],
    ['a fragment', '/healthz#x', /^200$/],
    ['a NUL', '/\u0000', /^400$/],
  ];
  test.each(targets)('[API-31] %s is answered, and the hub goes on', async (_name, target, status) => {
    const hub = await hubs.start();
    const raw = await hub.rawSocket();
    raw.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    expect((await raw.head()).slice(9, 12)).toMatch(status);
    expect((await hub.fetch('/healthz')).status).toBe(200);
    expect(hub.logged('A request failed')).toEqual([]);
  });

  test('[API-15] any query is a page or a problem that names a field, and never a failure', async () => {
    const hub = await hubs.start();
    await register(hub, { nodeId: 'n-1', labels: { zone: 'a' } });
    const names = fc.oneof(
      fc.constantFrom(
        'status',
        'kind',
        'label',
        'labels',
        'ids',
        'q',
        'pool',
        'location',
        'limit',
        'cursor',
        '__proto__',
      ),
      fc.string({ unit: 'binary' }),
    );
    const values = fc.oneof(
      fc.constantFrom('online', '1', 'zone=a', 'n-1', '', '__proto__', '='),
      fc.string({ unit: 'binary' }),
      fc.string().map((text) => Buffer.from(JSON.stringify([text, text])).toString('base64url')),
    );
    let pages = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(names, values), { maxLength: 4 }), async (pairs) => {
        const query = new URLSearchParams();
        for (const [name, value] of pairs) query.append(name, value);
        const response = await hub.fetch(`/api/v1/nodes?${query}`);
        if (response.status === 200) {
          pages += 1;
          expect(await response.json()).toMatchObject({ nodes: expect.any(Array) });
        } else {
          expect(await problemOf(response)).toMatchObject({ status: 400, path: expect.any(String) });
        }
      }),
      fuzzing(300),
    );
    expect(pages).toBeGreaterThan(0);
    expect(hub.logged('A request failed')).toEqual([]);
    expect((await list(hub)).count).toBe(1);
  });

  test('[API-32] requests in one packet are answered in order', async () => {
    const hub = await hubs.start();
    const raw = await hub.rawSocket();
    raw.write(
      'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    );
    expect(await raw.head()).toMatch(/^HTTP\/1.1 200 /);
    await raw.gone;
    expect(raw.text).toContain('HTTP/1.1 404 ');
  });
});
