import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { warnOfOpenFiles } from '../../cli/secret-files.ts';
import { systemClock } from '../../server/runtime/clock.ts';
import { silentLog } from '../../server/runtime/log.ts';
import { readHubSettings } from '../../server/settings.ts';
import { MemoryFleet } from '../../server/store/memory/memory-store.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { TestHubs } from '../support/test-hub.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

const settings = {
  AGENT_TOKENS: 'rack-7:agent-token-1,agent-token-2',
  DASHBOARD_TOKENS: 'reader-token',
  ADMIN_TOKENS: 'ann:admin-token-1,admin-token-2',
  OPEN_DIALECTS: 'connect,gpu-node,fleet-manager,game-host',
};
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

type Hub = Awaited<ReturnType<typeof hubs.start>>;

/** A request, with or without a token; its status and what it was answered. */
async function ask(hub: Hub, method: string, path: string, body?: unknown, token?: string) {
  const answer = await hub.fetch(path, {
    method,
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(token !== undefined && bearer(token)),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: await answer.text() };
}

/** A node whose agent showed a token, over its socket. */
async function held(hub: Hub, nodeId: string, token = 'agent-token-1') {
  const agent = await hub.connect(bearer(token));
  await agent.register({ nodeId });
  return agent;
}

/** Every request of a dialect that speaks for a node. Connect names a node by its hostname's UUID. */
const service = '/limiquantix.compute.v1.NodeService';
const attacks: Array<[string, string, string, unknown?]> = [
  ['gpu-node register', 'POST', '/v2/nodes/register', { node_id: 'n-1', hostname: 'n-1' }],
  ['gpu-node heartbeat', 'POST', '/v2/nodes/n-1/heartbeat', {}],
  ['gpu-node deregister', 'DELETE', '/v2/nodes/n-1'],
  ['fleet-manager register', 'POST', '/api/v1/fleet/register', { node_id: 'n-1', node_type: 'x' }],
  ['fleet-manager heartbeat', 'POST', '/api/v1/fleet/heartbeat', { node_id: 'n-1' }],
  ['game-host register', 'POST', '/api/nodes/register', { nodeId: 'n-1', hostname: 'n-1' }],
  ['game-host stats', 'POST', '/api/nodes/n-1/stats', {}],
  ['connect heartbeat', 'POST', `${service}/UpdateHeartbeat`, { nodeId: 'n-1' }],
];

describe('somebody without a token, and the node of an agent that showed one', () => {
  test.each(attacks)('[TRUST-1] %s is refused', async (_name, method, path, body) => {
    const hub = await hubs.start({ settings });
    const agent = await held(hub, 'n-1');
    const before = hub.node('n-1');
    const answer = await ask(hub, method, path, body);
    expect(answer.status).toBe(403);
    expect(answer.body).toContain('showed a token');
    expect(hub.node('n-1')).toEqual(before);
    await agent.ping();
    const metrics = await ask(hub, 'GET', '/metrics', undefined, 'reader-token');
    expect(metrics.body).toMatch(
      /rollcall_refusals_total\{entrance="dialect_[a-z-]+",reason="not_your_node"\} 1/,
    );
    expect(hub.log).toContainEqual({
      level: 'warn',
      message: expect.stringContaining('showed more'),
      fields: expect.objectContaining({ reason: 'not_your_node', count: 1, addresses: ['127.0.0.1'] }),
    });
  });

  test('[TRUST-1] connect and fleet-manager register: refused, also once the socket is gone', async () => {
    const hub = await hubs.start({ settings });
    const agent = await hub.connect(bearer('agent-token-1'));
    const { nodeId } = await agent.register({ hostname: 'web.example' });
    const edge = await held(hub, 'edge-1');
    for (const each of [agent, edge]) each.destroy();
    await hub.nodeThat('edge-1', ({ status }) => status === 'unreachable');
    const register = { node_id: 'edge-1', node_type: 'x' };
    expect((await ask(hub, 'POST', '/api/v1/fleet/register', register)).status).toBe(403);
    const connect = await ask(hub, 'POST', `${service}/RegisterNode`, { hostname: 'web.example' });
    expect(connect.status).toBe(403);
    expect(connect.body).toContain('permission_denied');
    expect(hub.node(nodeId)?.trust).toEqual({ by: 'token' });
  });

  test('[TRUST-1] over a socket: closed with 4403 that says why', async () => {
    const memory = new MemoryFleet(systemClock, 4);
    await held(await hubs.start({ settings, memory }), 'n-1');
    // A hub on which agents need no token, on the same store.
    const open = await hubs.start({ memory });
    const agent = await open.connect();
    agent.send({
      ...{ type: 'register', protocol: 1, instanceId: '0f4c2a9e-6a53-4d0a-9a3e-2f6b8f3c1d20' },
      node: { nodeId: 'n-1', hostname: 'n-1' },
    });
    const closed = await agent.closed;
    expect(closed).toMatchObject({ code: 4403 });
    expect(String(closed.reason)).toMatch(/^not_your_node: /);
    // And over its API.
    const answer = await ask(open, 'POST', '/api/v1/nodes', { node: { nodeId: 'n-1', hostname: 'n-1' } });
    expect(answer).toMatchObject({ status: 403, body: expect.stringContaining('not_your_node') });
    const beat = await ask(open, 'POST', '/api/v1/nodes/n-1/heartbeat', {});
    expect(beat).toMatchObject({ status: 403, body: expect.stringContaining('not_your_node') });
  });

  test('[TRUST-7] whose node it is comes before its restarts', async () => {
    const hub = await hubs.start({ settings, clock: new FakeClock() });
    const path = '/api/v1/nodes';
    const body = { node: { nodeId: 'n-1', hostname: 'n-1' } };
    for (let times = 0; times < 60; times += 1)
      expect((await ask(hub, 'POST', path, body, 'agent-token-1')).status).toBeLessThan(300);
    expect((await ask(hub, 'POST', path, body, 'agent-token-1')).status).toBe(429);
    const before = hub.node('n-1');
    const device = { nodeId: 'n-1', hostname: 'n-1' };
    const answer = await ask(hub, 'POST', '/api/nodes/register', device);
    expect(answer).toMatchObject({ status: 403, body: expect.stringContaining('not_your_node') });
    expect(hub.node('n-1')).toEqual(before);
  });

  test('[TRUST-2] a node of nobody may be taken with a token, and is then held', async () => {
    const hub = await hubs.start({ settings });
    const device = { nodeId: 'n-1', hostname: 'n-1' };
    expect((await ask(hub, 'POST', '/api/nodes/register', device)).status).toBe(200);
    expect(hub.node('n-1')?.trust).toEqual({ by: 'none' });
    expect((await ask(hub, 'POST', '/api/nodes/n-1/stats', {})).status).toBe(200);
    await held(hub, 'n-1');
    expect(hub.node('n-1')?.trust).toEqual({ by: 'token' });
    expect((await ask(hub, 'POST', '/api/nodes/n-1/stats', {})).status).toBe(403);
    expect((await ask(hub, 'POST', '/api/nodes/register', device)).status).toBe(403);
  });

  test('[TRUST-3] gone, it is still held, until an operator removes it', async () => {
    const hub = await hubs.start({ settings });
    const agent = await held(hub, 'n-1');
    agent.socket.close(1000);
    await hub.nodeThat('n-1', ({ status }) => status === 'offline');
    const device = { nodeId: 'n-1', hostname: 'n-1' };
    expect((await ask(hub, 'POST', '/api/nodes/register', device)).status).toBe(403);
    expect((await ask(hub, 'DELETE', '/api/v1/nodes/n-1', undefined, 'admin-token-1')).status).toBe(200);
    expect((await ask(hub, 'POST', '/api/nodes/register', device)).status).toBe(200);
  });

  test('[TRUST-6] whoever shows a token at an open dialect is taken for its owner', async () => {
    const hub = await hubs.start({ settings });
    const device = { nodeId: 'n-1', hostname: 'n-1' };
    expect((await ask(hub, 'POST', '/api/nodes/register', device, 'agent-token-2')).status).toBe(200);
    expect(hub.node('n-1')?.trust).toEqual({ by: 'token' });
    expect((await ask(hub, 'POST', '/api/nodes/n-1/stats', {}, 'agent-token-2')).status).toBe(200);
    expect((await ask(hub, 'POST', '/api/nodes/n-1/stats', {}, 'no such token')).status).toBe(403);
    expect((await ask(hub, 'POST', '/api/nodes/n-1/stats', {})).status).toBe(403);
  });
});

describe('names of tokens', () => {
  test('[AUTH-10] who registered stands in evidence and log', async () => {
    const hub = await hubs.start({ settings });
    await held(hub, 'n-1');
    expect(hub.node('n-1')?.evidence).toMatchObject({ by: 'rack-7' });
    expect(hub.log).toContainEqual(
      expect.objectContaining({ fields: expect.objectContaining({ nodeId: 'n-1', by: 'rack-7' }) }),
    );
    await held(hub, 'n-2', 'agent-token-2');
    expect(hub.node('n-2')?.evidence).not.toHaveProperty('by');
  });

  test.each([
    ['admin-token-1', 'ann'],
    ['admin-token-2', 'admin token 2'],
  ])('[AUTH-10] who removed stands in evidence and log: %s', async (token, by) => {
    const hub = await hubs.start({ settings });
    await held(hub, 'n-1');
    expect((await ask(hub, 'DELETE', '/api/v1/nodes/n-1', undefined, token)).status).toBe(200);
    const [newest] = (await hub.events('n-1')).reverse();
    expect(newest).toMatchObject({ reason: 'removed_by_operator', evidence: { by } });
    expect(hub.log).toContainEqual({
      level: 'info',
      message: 'Node removed',
      fields: expect.objectContaining({ nodeId: 'n-1', by, remoteAddress: '127.0.0.1' }),
    });
  });

  test('[AUTH-10] on a hub without tokens, the address', async () => {
    const hub = await hubs.start();
    await hub.agent({ nodeId: 'n-1' });
    expect((await ask(hub, 'DELETE', '/api/v1/nodes/n-1')).status).toBe(200);
    expect((await hub.events('n-1')).at(-1)).toMatchObject({ evidence: { by: 'anyone at 127.0.0.1' } });
  });
});

test('[AUTH-12] wrong tokens are said with their address and entrance, and no token is', async () => {
  const hub = await hubs.start({ settings });
  await expect(hub.connect(bearer('wrong-secret-token'))).rejects.toThrow();
  for (let times = 0; times < 3; times += 1)
    await ask(hub, 'GET', '/api/v1/nodes', undefined, 'wrong-secret-token');
  await ask(hub, 'GET', '/metrics');
  const lines = hub.log.filter(({ message }) => message.startsWith('Refused: '));
  expect(lines.map(({ fields }) => [fields.entrance, fields.reason, fields.addresses])).toEqual([
    ['agents', 'wrong', ['127.0.0.1']],
    ['api', 'wrong', ['127.0.0.1']],
    ['metrics', 'missing', ['127.0.0.1']],
  ]);
  expect(JSON.stringify(hub.log)).not.toContain('wrong-secret-token');
  const { body } = await ask(hub, 'GET', '/metrics', undefined, 'reader-token');
  expect(body).toContain('rollcall_refusals_total{entrance="api",reason="wrong"} 3');
});

test('[AUTH-13] lists that share a token are warned of', async () => {
  const hub = await hubs.start({ settings: { ...settings, DASHBOARD_TOKENS: 'agent-token-1' } });
  expect(hub.log).toContainEqual({
    level: 'warn',
    message: expect.stringContaining('share one'),
    fields: expect.objectContaining({ lists: 'AGENT_TOKENS and DASHBOARD_TOKENS' }),
  });
});

test.each([
  [0o600, 0],
  [0o640, 0],
  [0o644, 1],
])('[AUTH-13] a file of tokens with the mode %o is warned of %i times', (mode, times) => {
  const folder = mkdtempSync(join(tmpdir(), 'rollcall-'));
  try {
    const path = join(folder, 'tokens');
    writeFileSync(path, 'agent-token-1');
    chmodSync(path, mode);
    const lines: object[] = [];
    const env = { AGENT_TOKENS_FILE: path, ADMIN_TOKENS_FILE: join(folder, 'none') };
    warnOfOpenFiles(env, { ...silentLog, warn: (fields) => void lines.push(fields) });
    expect(lines).toHaveLength(times);
    expect(JSON.stringify(lines)).not.toContain('agent-token-1');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('[AUTH-11] a file may have a byte order mark, CRLF, empty lines and spaces around', () => {
  const file = '\ufeffops:agent-token-1\r\n\r\n  agent-token-2  \r\n\n';
  expect(readHubSettings({ AGENT_TOKENS_FILE: 'f' }, () => file).AGENT_TOKENS).toEqual([
    'ops:agent-token-1',
    'agent-token-2',
  ]);
});

test('[AUTH-5] TRUST_PROXY is true, false or networks', () => {
  const read = (TRUST_PROXY: string) => readHubSettings({ TRUST_PROXY }, () => '').TRUST_PROXY;
  expect(String(read('10.0.0.0/8, 192.0.2.7,2001:db8::/32'))).toBe('10.0.0.0/8, 192.0.2.7, 2001:db8::/32');
  expect([read('true'), read('no')]).toEqual([true, false]);
  for (const wrong of ['10.0.0.0/33', 'proxy.example', '10.0.0.1,', '10.0.0.1 10.0.0.2'])
    expect(() => read(wrong)).toThrow('TRUST_PROXY: is true, false or networks such as');
});

test.each(['/healthz', '/api/v1/nodes', '/agent'])(
  '[AUTH-14] %s with two Host headers is 400',
  async (path) => {
    const hub = await hubs.start();
    const upgrade = path === '/agent' ? 'Connection: Upgrade\r\nUpgrade: websocket\r\n' : '';
    const socket = await hub.rawSocket();
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n${upgrade}\r\n`);
    expect(await socket.head()).toMatch(/^HTTP\/1\.1 400 /);
  },
);
