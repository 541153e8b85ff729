import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../server/clock.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import { CLOSE, LIMITS } from '../../shared/index.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { TestHubs } from '../support/test-hub.ts';
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
    '\ufeff{"type":"stats","stats":{}}',
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

describe('a registration with a wrong field', () => {
  const wrong: Array<[string, Record<string, unknown>, string]> = [
    ['a hostname of 10,000 characters', { hostname: 'h'.repeat(10_000) }, 'node.hostname'],
    ['a hostname of 254 characters', { hostname: 'h'.repeat(254) }, 'node.hostname'],
    ['an empty hostname', { hostname: '' }, 'node.hostname'],
    ['no hostname', {}, 'node.hostname'],
    ['a hostname that is a number', { hostname: 7 }, 'node.hostname'],
    ['a line break in the hostname', { hostname: 'a\nb' }, 'node.hostname'],
    ['a NUL in the hostname', { hostname: 'a\u0000' }, 'node.hostname'],
    ['a DEL in the kind', { hostname: 'n-1', kind: 'a\u007f' }, 'node.kind'],
    ['an escape sequence in a label', { hostname: 'n-1', labels: { a: '\u001b[2J' } }, 'node.labels.a'],
    ['an empty id', { hostname: 'n-1', nodeId: '' }, 'node.nodeId'],
    ['an id with a space', { hostname: 'n-1', nodeId: 'a b' }, 'node.nodeId'],
    ['an id with a slash', { hostname: 'n-1', nodeId: '../a' }, 'node.nodeId'],
    ['an id with braces', { hostname: 'n-1', nodeId: 'a{b}' }, 'node.nodeId'],
    ['an id that begins with a dot', { hostname: 'n-1', nodeId: '.a' }, 'node.nodeId'],
    ['the id __proto__', { hostname: 'n-1', nodeId: '__proto__' }, 'node.nodeId'],
    ['an id with a line break at its end', { hostname: 'n-1', nodeId: 'a\n' }, 'node.nodeId'],
    ['an id in another script', { hostname: 'n-1', nodeId: 'ä' }, 'node.nodeId'],
    ['an id of 254 characters', { hostname: 'n-1', nodeId: 'i'.repeat(254) }, 'node.nodeId'],
    ['a label key with a space', { hostname: 'n-1', labels: { 'a b': '' } }, 'node.labels.a b'],
    ['an empty label key', { hostname: 'n-1', labels: { '': 'x' } }, 'node.labels.'],
    ['a label value of 254 characters', { hostname: 'n-1', labels: { a: 'x'.repeat(254) } }, 'node.labels.a'],
    ['a label that is a number', { hostname: 'n-1', labels: { a: 1 } }, 'node.labels.a'],
    ['labels in a list', { hostname: 'n-1', labels: ['a'] }, 'node.labels'],
    ['65 roles', { hostname: 'n-1', roles: Array(65).fill('r') }, 'node.roles'],
    ['65 pools', { hostname: 'n-1', pools: Array(65).fill('p') }, 'node.pools'],
    ['metadata that is a list', { hostname: 'n-1', metadata: [] }, 'node.metadata'],
    ['an agent without a version', { hostname: 'n-1', agent: { name: 'a' } }, 'node.agent.version'],
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

  test.each([65, 3_000])('[LIM-5] %i labels are refused', async (count) => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    const labels = object(Array.from({ length: count }, (_, index) => [`l${index}`, 'x']));
    const answer = await agent.exchange(registerText(`{"hostname":"n-1","labels":${labels}}`));
    expect(answer).toMatchObject({ code: 'invalid', path: expect.stringMatching(/^node/) });
    await agent.register({ nodeId: 'n-1' });
  });

  test('[LIM-6] names of the prototype are keys like any other; __proto__ is refused', async () => {
    const watched = await withBystander(await hubs.start());
    const agent = await watched.hub.connect();
    for (const node of [
      '{"hostname":"n-1","labels":{"__proto__":"x"}}',
      '{"hostname":"n-1","capabilities":{"a":[{"__proto__":{"polluted":true}}]}}',
      '{"hostname":"n-1","__proto__":{"nodeId":"evil"}}',
      '{"hostname":"n-1","metadata":{"__proto__":null}}',
    ]) {
      expect(await agent.exchange(registerText(node))).toMatchObject({
        code: 'invalid',
        message: expect.stringContaining('__proto__'),
      });
    }
    const odd = { constructor: 'a', toString: 'b', hasOwnProperty: 'c', valueOf: 'd' };
    const { node } = await agent.register({
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

  test.each([
    ['a hostname', '{"hostname":"a\\ud800"}', 'node.hostname'],
    ['a label', '{"hostname":"n-1","labels":{"a":"\\udc00"}}', 'node.labels.a'],
    [
      'a value of the capabilities',
      '{"hostname":"n-1","capabilities":[{"a":"\\ud83d"}]}',
      'node.capabilities.0.a',
    ],
    ['a key of the metadata', '{"hostname":"n-1","metadata":{"\\ud83d":1}}', 'node.metadata'],
  ])('[LIM-7] half a surrogate pair in %s is refused', async (_name, node, path) => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    expect(await agent.exchange(registerText(node))).toMatchObject({ code: 'invalid', path });
    expect(await agent.exchange(registerText('{"hostname":"rack 🛰️ 1"}'))).toMatchObject({
      node: { hostname: 'rack 🛰️ 1' },
    });
  });

  test.each([
    ['lists', `${'['.repeat(20_000)}${']'.repeat(20_000)}`],
    ['objects', `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`],
    ['33 levels', `${'['.repeat(34)}${']'.repeat(34)}`],
  ])('[LIM-8] capabilities that nest too deep are refused: %s', async (_name, deep) => {
    const watched = await withBystander(await hubs.start());
    const agent = await watched.hub.connect();
    expect(await agent.exchange(registerText(`{"hostname":"n-1","capabilities":${deep}}`))).toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('32 levels'),
    });
    expect(await agent.exchange(deep)).toMatchObject({ type: 'error' });
    expect(await agent.exchange(`{"type":"stats","stats":${deep}}`)).toMatchObject({ type: 'error' });
    await expectUnharmed(watched);
  });

  test('[LIM-9] a node over 32 KiB is refused, one just below is taken', async () => {
    const hub = await hubs.start();
    const agent = await hub.connect();
    const node = (filler: number) => ({
      nodeId: 'n-1',
      hostname: 'n-1',
      metadata: { filler: 'x'.repeat(filler) },
    });
    const fits = LIMITS.nodeBytes - JSON.stringify(node(0)).length;
    expect(await agent.ask(node(fits + 1))).toMatchObject({ code: 'invalid', path: 'node' });
    expect(await agent.ask({ ...node(0), metadata: { filler: 'é'.repeat(fits / 2 + 1) } })).toMatchObject({
      code: 'invalid',
      path: 'node',
    });
    expect(await agent.ask(node(fits))).toMatchObject({ type: 'registered' });
  });

  test.each(['1e999', '-1e999'])(
    '[LIM-10] the number %s, which JSON cannot hold, is refused',
    async (number) => {
      const hub = await hubs.start();
      const agent = await hub.connect();
      for (const field of ['"capabilities":[{"a":N}]', '"metadata":{"a":N}', '"cpu":{"cores":N}']) {
        expect(
          await agent.exchange(registerText(`{"hostname":"n-1",${field.replace('N', number)}}`)),
        ).toMatchObject({ code: 'invalid' });
      }
    },
  );
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
      '{"conditions":[{"type":"d","status":"ok","message":"\\u0007"}]}',
      'stats.conditions.0.message',
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

  test.each(['NaN', 'Infinity', '-Infinity'])('[LIM-11] %s is no JSON', async (number) => {
    const hub = await hubs.start();
    const agent = await hub.agent({ nodeId: 'n-1' });
    expect(await agent.exchange(`{"type":"stats","stats":{"cpuPercent":${number}}}`)).toMatchObject({
      code: 'bad_json',
    });
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
    for (let sent = 0; sent < 20; sent += 1) {
      agent.send({ ...register, node: { nodeId: 'n-1', hostname: 'n-1', kind: `k${sent}` } });
    }
    for (let refused = 0; refused < 12; refused += 1) {
      expect(await agent.next()).toMatchObject({ type: 'error', code: 'too_many_pending' });
    }
    await agent.ping();
    expect(agent.unread).toEqual([]);
    release();
    for (let taken = 0; taken < 8; taken += 1) {
      expect(await agent.next()).toMatchObject({ node: { kind: `k${taken}`, seq: taken + 2 } });
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
