import { afterEach, describe, expect, test } from 'vitest';
import { registeredAnswerSchema } from '../../server/http/api/schemas.ts';
import { systemClock } from '../../server/runtime/clock.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import { CLOSE, LIMITS } from '../../shared/index.ts';
import { AgentClient } from '../support/agent-client.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { TestHubs } from '../support/test-hub.ts';
import { until } from '../support/until.ts';
import { expectUnharmed, withBystander } from './bystander.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

/** A `register` whose node is this JSON text: what `JSON.stringify` could not write. */
const registerText = (node: string): string =>
  `{"type":"register","protocol":1,"instanceId":"f7a9b5a4-3c0e-4d5e-9a53-0f9b7b3b8b11","node":${node}}`;

const object = (entries: Iterable<[string, unknown]>): string =>
  `{${Array.from(entries, ([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`;

describe('a message that is no message', () => {
  test.each([
    '',
    'hello',
    '{',
    '{"type":"stats",}',
    '\ufeff\ufeff{"type":"stats","stats":{}}',
    'null',
    '42',
    '"register"',
    '[]',
    '[{"type":"stats"}]',
    '{}',
    '{"type":7}',
    '{"type":null}',
    '{"stats":{}}',
    '{"__proto__":{"type":"stats"}}',
  ])('[LIM-1] %j is answered bad_json, and the session goes on', async (text) => {
    const watched = await withBystander(await hubs.start());
    const agent = await watched.hub.agent({ nodeId: 'n-1' });
    expect(await agent.exchange(text)).toEqual({
      type: 'error',
      code: 'bad_json',
      message: expect.any(String),
    });
    await agent.ping();
    await expectUnharmed(watched);
  });

  test('[TERM-6] what is quoted of a message holds no control character', async () => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1' });
    const answer = await agent.exchange(JSON.stringify({ type: 'x\u009b2J\u202e' }));
    expect(answer).toMatchObject({
      code: 'unknown_type',
      message: expect.stringContaining('\\u009b2J\\u202e'),
    });
  });

  test.each(['ping', 'registered', 'toString', '__proto__', 'constructor', '', 'x'.repeat(60_000)])(
    '[LIM-2] the type %j is answered unknown_type, and the session goes on',
    async (type) => {
      const hub = await hubs.start();
      const agent = await hub.agent({ nodeId: 'n-1' });
      const answer = await agent.exchange({ type });
      expect(answer).toMatchObject({ type: 'error', code: 'unknown_type', path: 'type' });
      expect(JSON.stringify(answer).length).toBeLessThan(300);
      await agent.ping();
    },
  );

  test('[LIM-3] a binary frame ends the session with 4400', async () => {
    const watched = await withBystander(await hubs.start());
    const agent = await watched.hub.agent({ nodeId: 'n-1' });
    agent.socket.send(Buffer.from('{"type":"stats","stats":{}}'), { binary: true });
    expect(await agent.closed).toMatchObject({ code: 4400 });
    expect(watched.hub.hub.fleet.sessions.get('n-1')).toBeUndefined();
    await expectUnharmed(watched);
  });
});

describe('a sign of life', () => {
  const frames: Array<[string, (agent: AgentClient) => Promise<unknown>]> = [
    ['text that is no JSON', (agent) => agent.exchange('hello')],
    ['an unknown type', (agent) => agent.exchange({ type: 'weather' })],
    ['stats that are none', (agent) => agent.exchange({ type: 'stats', stats: [] })],
    ['a register without a hostname', (agent) => agent.ask({})],
    ['a register of another node', (agent) => agent.ask({ nodeId: 'n-2', hostname: 'n-2' })],
    ['a deregister of the wrong form', (agent) => agent.exchange({ type: 'deregister', reason: 7 })],
    ['a pong that nobody asked for', async (agent) => agent.socket.pong()],
  ];
  test.each(frames)('[STAT-4] %s of a live session is one', async (_name, send) => {
    const { hub } = await hubs.start();
    const agent = await AgentClient.open(`${hub.url.replace('http', 'ws')}/agent`);
    await agent.register({ nodeId: 'n-1' });
    const session = hub.fleet.sessions.get('n-1');
    if (!session) throw new Error('there is no session');
    session.lastBeatAt -= 60_000;
    const before = session.lastBeatAt;
    await send(agent);
    await until('it counts as a heartbeat', () => session.lastBeatAt >= before + 60_000);
    expect(session.beatWaits || session.lastBeatAt > before).toBe(true);
    agent.socket.terminate();
  });
});

describe('a registration with a wrong field', () => {
  const wrong: Array<[string, Record<string, unknown>, string]> = [
    ['a hostname of 10,000 characters', { hostname: 'h'.repeat(10_000) }, 'node.hostname'],
    ['a hostname of 254 characters', { hostname: 'h'.repeat(254) }, 'node.hostname'],
    ['an empty hostname', { hostname: '' }, 'node.hostname'],
    ['no hostname', {}, 'node.hostname'],
    ['a hostname that is a number', { hostname: 7 }, 'node.hostname'],
    ['a line break in the hostname', { hostname: 'a\nb' }, 'node.hostname'],
    ['a NUL in the hostname', { hostname: 'a\u0000' }, 'node.hostname'],
    ['an empty id', { hostname: 'n-1', nodeId: '' }, 'node.nodeId'],
    ['an id with a space', { hostname: 'n-1', nodeId: 'a b' }, 'node.nodeId'],
    ['an id with a slash', { hostname: 'n-1', nodeId: '../a' }, 'node.nodeId'],
    ['an id with braces', { hostname: 'n-1', nodeId: 'a{b}' }, 'node.nodeId'],
    ['an id that begins with a dot', { hostname: 'n-1', nodeId: '.a' }, 'node.nodeId'],
    ['the id __proto__', { hostname: 'n-1', nodeId: '__proto__' }, 'node.nodeId'],
    ['an id with a line break at its end', { hostname: 'n-1', nodeId: 'a\n' }, 'node.nodeId'],
    ['an id in another script', { hostname: 'n-1', nodeId: 'ä' }, 'node.nodeId'],
    ['an id of 254 characters', { hostname: 'n-1', nodeId: 'i'.repeat(254) }, 'node.nodeId'],
  ];
  test.each(wrong)('[LIM-4] %s is answered invalid, naming the field', async (_name, node, path) => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    const answer = await agent.ask(node);
    expect(answer).toMatchObject({ type: 'error', code: 'invalid', path });
    expect(JSON.stringify(answer).length).toBeLessThan(1_000);
    expect(hub.hub.fleet.view.size).toBe(0);
    expect(await agent.register({ nodeId: 'n-1' })).toMatchObject({ nodeId: 'n-1' });
  });

  const droppable: Array<[string, Record<string, unknown>, string, Record<string, unknown>]> = [
    ['a DEL in the kind', { kind: 'a\u007f', location: 'b' }, 'node.kind', { location: 'b' }],
    [
      'an escape sequence in a label',
      { labels: { a: '\u001b[2J', b: 'c' } },
      'node.labels.a',
      { labels: { b: 'c' } },
    ],
    [
      'a label key with a space',
      { labels: { 'a b': '', c: 'd' } },
      'node.labels.a b',
      { labels: { c: 'd' } },
    ],
    ['an empty label key', { labels: { '': 'x' } }, 'node.labels.', { labels: {} }],
    [
      'a label value of 254 characters',
      { labels: { a: 'x'.repeat(254), b: 'c' } },
      'node.labels.a',
      { labels: { b: 'c' } },
    ],
    ['a label that is a number', { labels: { a: 1, b: '1' } }, 'node.labels.a', { labels: { b: '1' } }],
    ['labels in a list', { labels: ['a'], kind: 'k' }, 'node.labels', { labels: {}, kind: 'k' }],
    ['an empty role among others', { roles: ['a', '', 'b'] }, 'node.roles.1', { roles: ['a', 'b'] }],
    ['pools that are null', { pools: null, roles: ['r'] }, 'node.pools', { pools: [], roles: ['r'] }],
    [
      'metadata that is a list',
      { metadata: [], capacity: { a: 1 } },
      'node.metadata',
      { capacity: { a: 1 } },
    ],
    ['an agent without a version', { agent: { name: 'a' }, kind: 'k' }, 'node.agent.version', { kind: 'k' }],
    ['a machine id that is a number', { machineId: 7 }, 'node.machineId', {}],
    [
      'half a surrogate pair deep in the capabilities',
      { capabilities: [{ a: '\ud83d', b: 1 }] },
      'node.capabilities.0.a',
      { capabilities: [{ b: 1 }] },
    ],
    [
      'a control character in one text of free JSON',
      { metadata: { a: { note: 'x\u009b2J', b: ['\u202e', 'y'] }, c: 'two\nlines' } },
      'node.metadata.a.note',
      { metadata: { a: { b: ['y'] }, c: 'two\nlines' } },
    ],
    [
      'a control character in a key of free JSON',
      { capabilities: [{ 'a\u009b': 1, b: 2 }] },
      'node.capabilities.0.a\\u009b',
      { capabilities: [{ b: 2 }] },
    ],
    ['half a surrogate pair in a label', { labels: { a: '\udc00' } }, 'node.labels.a', { labels: {} }],
  ];
  test.each(droppable)(
    '[STAT-1] %s is dropped and named, the rest is registered',
    async (_name, node, path, kept) => {
      const hub = await hubs.start();
      const agent = await hub.connect();
      const answer = await agent.register({ nodeId: 'n-1', ...node });
      expect(answer.node).toMatchObject({ hostname: 'n-1', ...kept });
      expect(await agent.next()).toMatchObject({ type: 'error', code: 'invalid', path });
      while (agent.unread.length > 0) expect(await agent.next()).toMatchObject({ code: 'invalid' });
      const [name] = path.split('.').slice(1);
      if (name !== undefined && !(name in kept)) expect(answer.node).not.toHaveProperty(name);
      await agent.ping();
      expect(agent.unread).toEqual([]);
    },
  );

  test('[STAT-1] so too in a second register of a live session', async () => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1' });
    const answer = await agent.register({ nodeId: 'n-1', kind: '', location: 'rack 7' });
    expect(answer.node).toMatchObject({ seq: 2, location: 'rack 7' });
    expect(await agent.next()).toMatchObject({ code: 'invalid', path: 'node.kind' });
  });

  test('[STAT-7] of many wrong fields eight are named, and the others counted', async () => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    const labels = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`bad ${index}`, 'x']));
    expect((await agent.register({ nodeId: 'n-1', labels: { ...labels, good: 'y' } })).node.labels).toEqual({
      good: 'y',
    });
    await agent.ping();
    expect(agent.unread).toHaveLength(LIMITS.namedFaults);
    expect(agent.unread.at(-1)).toMatchObject({ message: expect.stringContaining('42 more') });
  });

  test('[LIM-4] what is just allowed is taken as it is', async () => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    const node = {
      nodeId: `i${'._:-'.repeat(63)}`,
      hostname: 'h'.repeat(253),
      labels: Object.fromEntries(
        Array.from({ length: 64 }, (_, index) => [`zone/${index}`, 'v'.repeat(index * 4)]),
      ),
      roles: Array.from({ length: 64 }, (_, index) => `r${index}`),
    };
    expect(await agent.register(node)).toMatchObject({
      nodeId: node.nodeId,
      node: { id: node.nodeId, hostname: node.hostname, labels: node.labels, roles: node.roles },
    });
  });

  test.each([65, 1_000])('[LIM-5] of %i labels the first 64 are kept', async (count) => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    const labels = object(Array.from({ length: count }, (_, index) => [`l${index}`, 'x']));
    const answer = await agent.exchange(registerText(`{"hostname":"n-1","labels":${labels}}`));
    expect(Object.keys(answer.type === 'registered' ? answer.node.labels : {})).toEqual(
      Array.from({ length: 64 }, (_, index) => `l${index}`),
    );
    expect(await agent.next()).toMatchObject({
      code: expect.any(String),
      path: expect.stringMatching(/^node/),
    });
  });

  test.each(['roles', 'pools'] as const)('[STAT-5] of 65 %s the first 64 are kept', async (field) => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    const entries = Array.from({ length: 65 }, (_, index) => `e${index}`);
    expect((await agent.register({ nodeId: 'n-1', [field]: entries })).node[field]).toEqual(
      entries.slice(0, 64),
    );
    expect(await agent.next()).toMatchObject({ code: 'invalid', path: `node.${field}` });
  });

  test('[LIM-6] names of the prototype are keys like any other; a key __proto__ is dropped', async () => {
    const watched = await withBystander(await hubs.start());
    const agent = await watched.hub.connect();
    for (const node of [
      '{"hostname":"n-1","labels":{"__proto__":"x"}}',
      '{"hostname":"n-1","capabilities":{"a":[{"__proto__":{"polluted":true}}]}}',
      '{"hostname":"n-1","__proto__":{"nodeId":"evil"}}',
      '{"hostname":"n-1","metadata":{"__proto__":null}}',
    ]) {
      const answer = await agent.exchange(registerText(node));
      expect(answer).toMatchObject({ type: 'registered', node: { hostname: 'n-1' } });
      expect(JSON.stringify(answer)).not.toMatch(/__proto__|polluted|evil/);
      expect(await agent.next()).toMatchObject({
        code: 'invalid',
        path: expect.stringContaining('__proto__'),
      });
    }
    agent.socket.terminate();
    await agent.closed;
    const other = await watched.hub.connect();
    const odd = { constructor: 'a', toString: 'b', hasOwnProperty: 'c', valueOf: 'd' };
    const { node } = await other.register({
      nodeId: 'constructor',
      labels: odd,
      capabilities: odd,
      metadata: { constructor: { prototype: { polluted: true } } },
    });
    expect(Object.entries(node.labels)).toEqual(Object.entries(odd));
    expect(node.metadata).toEqual({ constructor: { prototype: { polluted: true } } });
    expect(await (await watched.hub.fetch('/api/v1/nodes/constructor')).json()).toMatchObject({
      id: 'constructor',
    });
    expect('polluted' in {}).toBe(false);
    await expectUnharmed(watched);
  });

  test.each([['a hostname', '{"hostname":"a\\ud800"}', 'node.hostname']])(
    '[LIM-7] half a surrogate pair in %s is refused, elsewhere it is dropped',
    async (_name, node, path) => {
      const hub = await hubs.start();
      const agent = await hub.connect();
      expect(await agent.exchange(registerText(node))).toMatchObject({ code: 'invalid', path });
      expect(await agent.exchange(registerText('{"hostname":"rack 🛰️ 1"}'))).toMatchObject({
        node: { hostname: 'rack 🛰️ 1' },
      });
      const odd = registerText('{"hostname":"rack 🛰️ 1","metadata":{"\\ud83d":1,"a":2}}');
      expect(await agent.exchange(odd)).toMatchObject({ node: { metadata: { a: 2 } } });
      expect(await agent.next()).toMatchObject({
        code: 'invalid',
        path: expect.stringContaining('node.metadata'),
      });
    },
  );

  test.each([
    ['lists', `${'['.repeat(20_000)}${']'.repeat(20_000)}`],
    ['objects', `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`],
    ['33 levels', `${'['.repeat(34)}${']'.repeat(34)}`],
  ])('[LIM-8] capabilities that nest too deep are dropped: %s', async (_name, deep) => {
    const watched = await withBystander(await hubs.start());
    const agent = await watched.hub.connect();
    const answer = await agent.exchange(registerText(`{"hostname":"n-1","capabilities":${deep}}`));
    expect(answer).toMatchObject({ type: 'registered' });
    expect(answer).not.toHaveProperty('node.capabilities');
    expect(await agent.next()).toMatchObject({
      code: 'invalid',
      path: 'node.capabilities',
      message: expect.stringContaining('32 levels'),
    });
    expect(await agent.exchange(deep)).toMatchObject({ type: 'error' });
    expect(await agent.exchange(`{"type":"stats","stats":${deep}}`)).toMatchObject({ type: 'error' });
    await expectUnharmed(watched);
  });

  test('[LIM-9] a node over 32 KiB loses its largest part, one just below is taken whole', async () => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    const node = (filler: number) => ({
      nodeId: 'n-1',
      hostname: 'n-1',
      kind: 'k',
      metadata: { filler: 'x'.repeat(filler) },
    });
    const fits = LIMITS.nodeBytes - JSON.stringify(node(0)).length;
    for (const filler of ['x'.repeat(fits + 1), 'é'.repeat(fits / 2 + 1)]) {
      const answer = await agent.ask({ ...node(0), metadata: { filler } });
      expect(answer).toMatchObject({ type: 'registered', node: { kind: 'k' } });
      expect(answer).not.toHaveProperty('node.metadata');
      expect(await agent.next()).toMatchObject({ code: 'too_large', path: 'node.metadata' });
    }
    expect(await agent.ask(node(fits))).toMatchObject({ type: 'registered', node: { metadata: {} } });
    await agent.ping();
    expect(agent.unread).toEqual([]);
  });

  test.each(['1e999', '-1e999'])(
    '[LIM-10] the number %s, which JSON cannot hold, is dropped',
    async (number) => {
      const hub = await hubs.start();
      const agent = await hub.connect();
      for (const [name, field] of [
        ['capabilities.0.a', '"capabilities":[{"a":N}]'],
        ['metadata.a', '"metadata":{"a":N}'],
        ['cpu.cores', '"cpu":{"cores":N}'],
      ]) {
        const text = registerText(`{"hostname":"n-1",${field?.replace('N', number)}}`);
        expect(await agent.exchange(text)).toMatchObject({ type: 'registered' });
        expect(await agent.next()).toMatchObject({ code: 'invalid', path: `node.${name}` });
      }
    },
  );

  test.each(['9007199254740993', '-9007199254740992', '1e16', '12345678901234567890'])(
    '[STAT-8] the number %s may have been another one: it is dropped and named',
    async (number) => {
      const hub = await hubs.start();
      const agent = await hub.connect();
      const text = registerText(`{"hostname":"n-1","metadata":{"serial":${number},"a":-0,"b":0.1}}`);
      expect(await agent.exchange(text)).toMatchObject({ node: { metadata: { a: 0, b: 0.1 } } });
      expect(await agent.next()).toMatchObject({ code: 'invalid', path: 'node.metadata.serial' });
      agent.send(`{"type":"stats","stats":{"cpuPercent":5,"metrics":{"big":${number},"ok":-1}}}`);
      expect(await agent.next()).toMatchObject({ code: 'invalid', path: 'stats.metrics.big' });
    },
  );
});

describe('free JSON with many wrong values', () => {
  const withNumbers = (count: number) =>
    object([
      ['hostname', 'n-1'],
      [
        'metadata',
        { rack: 7, ...Object.fromEntries(Array.from({ length: count }, (_, n) => [`big${n}`, 2 ** 60])) },
      ],
    ]);

  test('[STAT-1] [STAT-7] loses each of them alone; the first are named and the others counted', async () => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    agent.send(registerText(withNumbers(20)));
    expect(await agent.next()).toMatchObject({ type: 'registered', node: { metadata: { rack: 7 } } });
    const named = [];
    for (let count = 0; count < 8; count += 1) named.push(await agent.next());
    for (const error of named)
      expect(error).toMatchObject({ path: expect.stringMatching(/^node\.metadata\.big\d+$/) });
    expect(named.at(-1)).toMatchObject({ message: expect.stringContaining('and 12 more fields') });
  });

  test('[STAT-1] [STAT-10] so over HTTP', async () => {
    const hub = await hubs.start();
    const headers = { 'content-type': 'application/json' };
    const body = `{"node":${withNumbers(20)}}`;
    const answer = registeredAnswerSchema.parse(
      await (await hub.fetch('/api/v1/nodes', { method: 'POST', headers, body })).json(),
    );
    expect(answer).toMatchObject({ node: { metadata: { rack: 7 } } });
    expect(answer.dropped).toHaveLength(8);
    expect(answer.dropped?.[7]?.message).toContain('and 12 more fields');
  });

  test('[STAT-7] a field with more faults than are dropped one by one is named itself', async () => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    agent.send(registerText(withNumbers(1_000)));
    const registered = await agent.next();
    expect(registered).toMatchObject({ type: 'registered' });
    expect(registered).not.toHaveProperty('node.metadata');
    expect(await agent.next()).toMatchObject({ code: 'invalid', path: 'node.metadata' });
  });
});

describe('stats with a wrong field', () => {
  const wrong: Array<[string, string, string]> = [
    ['a negative figure', '{"cpuPercent":-1}', 'stats.cpuPercent'],
    ['a figure beyond all numbers', '{"cpuPercent":1e999}', 'stats.cpuPercent'],
    ['a figure as text', '{"uptimeSeconds":"5"}', 'stats.uptimeSeconds'],
    ['a metric beyond all numbers', '{"metrics":{"a":-1e999}}', 'stats.metrics.a'],
    ['a metric name with a space', '{"metrics":{"a b":1}}', 'stats.metrics.a b'],
    ['a condition without a status', '{"conditions":[{"type":"disk"}]}', 'stats.conditions.0.status'],
    ['an unknown status', '{"conditions":[{"type":"disk","status":"bad"}]}', 'stats.conditions.0.status'],
    [
      'a condition named __proto__',
      '{"conditions":[{"type":"__proto__","status":"ok"}]}',
      'stats.conditions.0.type',
    ],
    [
      'a control character in a message',
      '{"conditions":[{"type":"__proto__","status":"ok","message":"\\u0007"}]}',
      'stats.conditions.0.type',
    ],
    ['stats that are a list', '[]', 'stats'],
    ['stats that are null', 'null', 'stats'],
    ['half a pool', '{"pools":[{"poolId":"p"}]}', 'stats.pools.0.ready'],
  ];
  test.each(wrong)('[LIM-11] %s is answered invalid, naming the field', async (_name, stats, path) => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1' });
    expect(await agent.exchange(`{"type":"stats","stats":${stats}}`)).toMatchObject({
      type: 'error',
      code: 'invalid',
      path,
    });
    await agent.ping();
    expect(hub.node('n-1')).toMatchObject({ seq: 1, conditions: [] });
  });

  const conditions = [{ type: 'disk', status: 'fail' }];
  const disk = JSON.stringify(conditions);
  test.each([
    ['a negative figure', `{"cpuPercent":-0.1,"memoryPercent":40,"conditions":${disk}}`, 'stats.cpuPercent'],
    ['NaN', `{"cpuPercent":NaN,"memoryPercent":40,"conditions":${disk}}`, 'stats.cpuPercent'],
    ['-Infinity', `{"cpuPercent":-Infinity,"memoryPercent":40,"conditions":${disk}}`, 'stats.cpuPercent'],
    ['1e999', `{"metrics":{"a":1e999},"memoryPercent":40,"conditions":${disk}}`, 'stats.metrics.a'],
    [
      'half a pool',
      `{"pools":[{"poolId":"p"}],"memoryPercent":40,"conditions":${disk}}`,
      'stats.pools.0.ready',
    ],
    ['pools that are none', `{"pools":7,"memoryPercent":40,"conditions":${disk}}`, 'stats.pools'],
    [
      'one condition of two',
      `{"memoryPercent":40,"conditions":[{"type":"a b","status":"ok"},${disk.slice(1)}}`,
      'stats.conditions.0.type',
    ],
    [
      'the message of a condition',
      '{"memoryPercent":40,"conditions":[{"type":"disk","status":"fail","message":"\\u0007"}]}',
      'stats.conditions.0.message',
    ],
  ])('[STAT-2] [STAT-3] %s is dropped and named, and the rest counts', async (_name, stats, path) => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1' });
    expect(await agent.exchange(`{"type":"stats","stats":${stats}}`)).toMatchObject({
      type: 'error',
      code: 'invalid',
      path,
    });
    await until('what its agent reported stands', () => hub.node('n-1')?.status === 'degraded');
    expect(hub.node('n-1')).toMatchObject({ conditions });
    await hub.hub.fleet.flush();
    const live = await (await hub.fetch('/api/v1/nodes/n-1')).json();
    expect(live).toMatchObject({ stats: { memoryPercent: 40 } });
    expect(live).not.toHaveProperty('stats.cpuPercent');
  });

  const report = (conditions: unknown) => ({ type: 'stats', stats: { conditions } });

  test.each([
    ['another word', [{ type: 'disk', status: 'critical' }], 'stats.conditions.0.status'],
    ['nothing', [{ type: 'fan', status: 'ok' }, { type: 'disk' }], 'stats.conditions.1.status'],
    ['no list at all', { disk: 'ok' }, 'stats.conditions'],
    [
      'better and another word',
      [
        { type: 'disk', status: 'ok' },
        { type: 'disk', status: 7 },
      ],
      'stats.conditions.1.status',
    ],
  ])('[STAT-14] a condition whose status is %s stays as it was, and is named', async (_name, wrong, path) => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1' });
    const failing = { type: 'disk', status: 'fail', message: 'sda is full' };
    agent.send(report([failing]));
    await hub.nodeThat('n-1', ({ status }) => status === 'degraded');
    expect(await agent.exchange(report(wrong))).toMatchObject({ code: 'invalid', path });
    // Written after it, at the latest.
    agent.send(
      report([
        { type: 'disk', status: 'unclear' },
        { type: 'last', status: 'ok' },
      ]),
    );
    await hub.nodeThat('n-1', ({ conditions }) => conditions.some(({ type }) => type === 'last'));
    expect(hub.node('n-1')).toMatchObject({
      status: 'degraded',
      conditions: expect.arrayContaining([failing]),
    });
    agent.send(report([]));
    await hub.nodeThat('n-1', ({ status, conditions }) => status === 'online' && conditions.length === 0);
  });

  test('[STAT-14] what an earlier instance reported stays too', async () => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1' });
    agent.send(report([{ type: 'disk', status: 'fail' }]));
    await hub.nodeThat('n-1', ({ status }) => status === 'degraded');
    const next = await hub.agent({ nodeId: 'n-1' });
    await next.exchange(report('none'));
    next.send(
      report([
        { type: 'disk', status: 'unclear' },
        { type: 'last', status: 'ok' },
      ]),
    );
    await hub.nodeThat('n-1', ({ conditions }) => conditions.length === 2);
    expect(hub.node('n-1')).toMatchObject({ status: 'degraded' });
  });

  test('[STAT-15] of a type that comes more than once the worst counts, and it is named', async () => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1' });
    const twice = [
      { type: 'disk', status: 'ok' },
      { type: 'fan', status: 'ok' },
      { type: 'disk', status: 'fail', message: 'sdb' },
      { type: 'disk', status: 'fail', message: 'sdc' },
    ];
    expect(await agent.exchange(report(twice))).toMatchObject({
      path: 'stats.conditions',
      message: expect.stringContaining('disk'),
    });
    await hub.nodeThat('n-1', ({ status }) => status === 'degraded');
    expect(hub.node('n-1')?.conditions).toEqual([
      { type: 'disk', status: 'fail', message: 'sdb' },
      { type: 'fan', status: 'ok' },
    ]);
  });

  test('[STAT-5] of more than 32 conditions the worst are kept', async () => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1' });
    const statuses = [...Array(38).fill('ok'), 'warn', 'fail'];
    const many = statuses.map((status, index) => ({ type: `c${index}`, status }));
    expect(await agent.exchange(report(many))).toMatchObject({ path: 'stats.conditions' });
    await hub.nodeThat('n-1', ({ status }) => status === 'degraded');
    const kept = hub.node('n-1')?.conditions.map(({ type }) => type);
    expect(kept).toHaveLength(32);
    expect(kept).toEqual(expect.arrayContaining(['c39', 'c38', 'c0', 'c29']));
  });

  test('[STAT-5] of more than 32 of one kind the first are kept', async () => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1' });
    const many = Array.from({ length: 40 }, (_, index) => ({ type: `c${index}`, status: 'fail' }));
    expect(await agent.exchange({ type: 'stats', stats: { conditions: many } })).toMatchObject({
      path: 'stats.conditions',
    });
    await until('what its agent reported stands', () => hub.node('n-1')?.conditions.length === 32);
  });

  test('[STAT-7] what is wrong beyond the rate of errors is dropped without a word, and the session goes on', async () => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1' });
    for (let count = 0; count < 60; count += 1) agent.send({ type: 'stats', stats: { cpuPercent: -1 } });
    await agent.ping();
    expect(agent.unread.length).toBeGreaterThanOrEqual(LIMITS.errorsBurst);
    expect(agent.unread.length).toBeLessThan(60);
  });

  test('[LIM-11] NaN is no JSON where it is no figure', async () => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1' });
    expect(await agent.exchange('{"type":"stats","stats":{NaN:1}}')).toMatchObject({ code: 'bad_json' });
  });

  test('[LIM-12] stats over 8 KiB are answered too_large, those of 8 KiB are taken', async () => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1' });
    const message = (bytes: number): string => {
      const empty = '{"at":"now","filler":""}';
      const filler = 'x'.repeat(bytes - empty.length);
      return `{"type":"stats","stats":{"at":"now","filler":"${filler}"}}`;
    };
    agent.send(message(LIMITS.statsBytes));
    await agent.ping();
    expect(agent.unread).toEqual([]);
    expect(await agent.exchange(message(LIMITS.statsBytes + 100))).toMatchObject({
      code: 'too_large',
      path: 'stats',
    });
    expect(await agent.exchange(message(60_000))).toMatchObject({ code: 'too_large' });
    await agent.ping();
  });

  test('[LIM-13] a reason that is no text is answered invalid, and the node stays', async () => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1' });
    for (const reason of [7, 'x'.repeat(1_025), 'a\u0000b', null]) {
      expect(await agent.exchange({ type: 'deregister', reason })).toMatchObject({
        code: 'invalid',
        path: 'reason',
      });
    }
    expect(hub.node('n-1')).toMatchObject({ seq: 1 });
  });
});

describe('too much of it', () => {
  test('[LIM-14] a second of bad messages is answered, a flood of them ends the session with 4400', async () => {
    const watched = await withBystander(await hubs.start());
    const agent = await watched.hub.agent({ nodeId: 'n-1' });
    for (let sent = 0; sent < 60; sent += 1) agent.send('{}');
    expect(await agent.closed).toEqual({ code: 4400, reason: 'too many bad messages' });
    expect(agent.unread.length).toBeGreaterThanOrEqual(LIMITS.errorsBurst);
    expect(agent.unread.length).toBeLessThan(60);
    await expectUnharmed(watched);
  });

  test('[LIM-15] a thousand messages before the registration end the socket with 4400', async () => {
    const watched = await withBystander(await hubs.start());
    const agent = await watched.hub.connect();
    for (let sent = 0; sent < 1_000; sent += 1) agent.send({ type: 'stats', stats: {} });
    expect(await agent.closed).toMatchObject({ code: CLOSE.protocol.code });
    await expectUnharmed(watched);
  });

  test.each([
    ['pings', 'ping'],
    ['stats', 'stats'],
  ])('[LIM-16] a flood of %s ends the session with 4400 after the burst', async (_name, kind) => {
    const watched = await withBystander(await hubs.start());
    const agent = await watched.hub.agent({ nodeId: 'n-1' });
    for (let sent = 0; sent < 2_000; sent += 1) {
      if (kind === 'ping') agent.socket.ping();
      else agent.send({ type: 'stats', stats: { cpuPercent: 1 } });
    }
    expect(await agent.closed).toEqual({ code: 4400, reason: 'more than 100 frames a second' });
    expect(agent.unread).toEqual([]);
    await expectUnharmed(watched);
    // Nothing is written for it: the node lives on its heartbeat alone.
    expect(watched.hub.node('n-1')).toMatchObject({ status: 'online', seq: 1 });
  });

  test('[LIM-16] a burst of 200 frames is taken', async () => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1' });
    for (let sent = 1; sent < LIMITS.framesBurst - 1; sent += 1) {
      agent.send({ type: 'stats', stats: { cpuPercent: sent } });
    }
    await agent.ping();
    expect(agent.open).toBe(true);
  });

  test('[LIM-17] of many messages at once that wait for the store, some are refused, and all are answered', async () => {
    const store = new HeldStore(new MemoryStore(new MemoryFleet(systemClock, 4)));
    const hub = await hubs.start({ store });
    const agent = await hub.agent({ nodeId: 'n-1' });
    const release = store.hold();
    const register = { type: 'register', protocol: 1, instanceId: agent.instanceId };
    // Those of one node would wait as one.
    for (let sent = 0; sent < 20; sent += 1) {
      agent.send({ ...register, node: { nodeId: `n-${sent + 1}`, hostname: 'n-1', kind: 'changed' } });
    }
    for (let refused = 0; refused < 12; refused += 1) {
      expect(await agent.next()).toMatchObject({ type: 'error', code: 'too_many_pending' });
    }
    await agent.ping();
    expect(agent.unread).toEqual([]);
    release();
    expect(await agent.next()).toMatchObject({ node: { kind: 'changed', seq: 2 } });
    for (let taken = 1; taken < 8; taken += 1) {
      expect(await agent.next()).toMatchObject({ type: 'error', code: 'identity_changed' });
    }
    await agent.ping();
    expect(agent.unread).toEqual([]);
  });
});

/** A store that can be made to keep its writers waiting. */
class HeldStore extends FaultyStore {
  #open = Promise.resolve();

  constructor(inner: MemoryStore) {
    super(inner);
    const { commit } = this;
    this.commit = async (change) => {
      await this.#open;
      return commit(change);
    };
  }

  /** Returns what lets the writers go on. */
  hold(): () => void {
    let release = (): void => {};
    this.#open = new Promise((resolve) => {
      release = resolve;
    });
    return () => release();
  }
}
