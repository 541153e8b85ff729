import { afterEach, beforeEach, expect, test } from 'vitest';
import { RawSocket } from '../support/raw-socket.ts';
import { type TestHub, TestHubs } from '../support/test-hub.ts';

const hubs = new TestHubs();
let hub: TestHub;
beforeEach(async () => {
  hub = await hubs.start();
});
afterEach(() => hubs.close());

const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
const metadata = (text: string): string => `{"nodeId":"n","hostname":"n","metadata":${text}}`;

/** The JSON of a node, and the code of its refusal; none where it is taken. */
const nodes: Array<[what: string, node: string, code: string | undefined]> = [
  ['a key constructor', metadata('{"constructor":{"prototype":1}}'), undefined],
  [
    'a key constructor in capabilities',
    '{"nodeId":"n","hostname":"n","capabilities":{"constructor":{"prototype":{}}}}',
    undefined,
  ],
  [
    'a label prototype',
    '{"nodeId":"n","hostname":"n","labels":{"prototype":"x","constructor":"y"}}',
    undefined,
  ],
  ['a key __proto__', metadata('{"__proto__":{"x":1}}'), undefined],
  ['a key __proto__ as an escape', metadata('{"\\u005f_proto__":1}'), undefined],
  ['the same key twice', metadata('{"a":1,"a":2}'), undefined],
  ['31 levels', metadata(`{"a":${deep(30)}}`), undefined],
  ['levels without end', metadata(`{"a":${deep(5_000)}}`), undefined],
  ['a number beyond all', metadata('{"a":1e999}'), undefined],
  ['half a surrogate pair', metadata('{"a":"\\ud800"}'), undefined],
  ['NaN', metadata('{"a":NaN}'), undefined],
  ['no JSON', '{"nodeId":', 'bad_json'],
  ['no hostname', '{"nodeId":"n"}', 'invalid'],
  ['a hostname of the wrong kind', '{"nodeId":"n","hostname":7}', 'invalid'],
  ['an id with a space', '{"nodeId":"a b","hostname":"n"}', 'invalid'],
  ['a node that is none', '[]', 'invalid'],
];

test.each(nodes)('[API-46] %s has one verdict over the socket and over HTTP', async (_what, node, code) => {
  const agent = await hub.connect();
  const instance = agent.instanceId;
  const bySocket = await agent.exchange(
    `{"type":"register","protocol":1,"instanceId":"${instance}","node":${node}}`,
  );
  await agent.ping();
  const dropped = [...agent.unread];
  const stored = hub.node('n');
  const response = await hub.fetch('/api/v1/nodes', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: `{"instanceId":"${instance}","node":${node}}`,
  });
  const byHttp: Record<string, unknown> = JSON.parse(await response.text());
  if (code === undefined) {
    expect(bySocket).toMatchObject({ type: 'registered' });
    expect(hub.logged('A request failed')).toEqual([]);
    expect(response.status).toBeLessThan(300);
    const again = hub.node('n');
    expect([again?.metadata, again?.labels, again?.capabilities]).toEqual([
      stored?.metadata,
      stored?.labels,
      stored?.capabilities,
    ]);
    const named = dropped.map((each) => (each.type === 'error' ? { ...each, type: undefined } : each));
    expect(byHttp.dropped ?? []).toEqual(named);
  } else {
    expect([bySocket.type, byHttp.code]).toEqual(['error', code]);
    if (bySocket.type !== 'error') return;
    expect(bySocket.code).toBe(code);
    expect(byHttp.path).toBe(bySocket.path);
    if (code === 'invalid') expect(byHttp.detail).toBe(`${bySocket.path}: ${bySocket.message}`);
  }
});

test('[RES-12] a body that comes byte by byte takes no more than its bytes, and too many pieces are refused', async () => {
  const token = 'Host: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked';
  const post = `POST /api/v1/nodes HTTP/1.1\r\n${token}\r\n\r\n`;
  const inPieces = (text: string): string => `${[...text].map((one) => `1\r\n${one}\r\n`).join('')}0\r\n\r\n`;
  const node = '{"instanceId":"3d9f8a10-6a4e-4f0e-9d0b-0a3f5f3b1c11","node":{"hostname":"bit-by-bit"}}';
  const honest = await RawSocket.connect(hub.port);
  honest.write(post + inPieces(node));
  expect(await honest.head()).toMatch(/^HTTP\/1\.1 201 /);
  const dribble = await RawSocket.connect(hub.port);
  dribble.write(post + inPieces(' '.repeat(5_000)));
  expect(await dribble.head()).toMatch(/^HTTP\/1\.1 413 /);
  honest.destroy();
  dribble.destroy();
});

test('[API-6] a compressed body is 415, not broken JSON', async () => {
  const response = await hub.fetch('/api/v1/nodes', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' },
    body: '{}',
  });
  expect([response.status, JSON.parse(await response.text()).code]).toEqual([415, 'unsupported_media_type']);
});
