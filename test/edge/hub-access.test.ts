import { afterEach, describe, expect, test } from 'vitest';
import { TestHubs } from '../support/test-hub.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

const settings = { AGENT_TOKENS: 'agent-old,agent-new', DASHBOARD_TOKENS: 'reader-secret' };
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

describe('who may connect as an agent', () => {
  test.each(['agent-old', 'agent-new'])('[AUTH-1] %s may: tokens can be rotated', async (token) => {
    const hub = await hubs.start({ settings });
    const agent = await hub.connect(bearer(token));
    await agent.register({ nodeId: 'n-1' });
  });

  test.each([
    ['no token', {}, 401, 'missing'],
    ['a wrong token', bearer('agent-odd'), 401, 'wrong'],
    ['another scheme', { Authorization: 'Basic agent-old' }, 401, 'missing'],
    ['the token of a reader', bearer('reader-secret'), 403, 'may read, not register'],
  ])('[AUTH-6] %s is refused before the upgrade', async (_name, headers, status, why) => {
    const hub = await hubs.start({ settings });
    const refusal = await hub.connect(headers).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ status, body: expect.stringContaining(why) });
    expect(refusal).toMatchObject(
      status === 401 ? { headers: { 'www-authenticate': 'Bearer' } } : { headers: { connection: 'close' } },
    );
    expect(hub.hub.agents.size).toBe(0);
  });

  test('[AUTH-4] a page of another site may not, a listed one may', async () => {
    const hub = await hubs.start({ settings: { ALLOWED_ORIGINS: 'https://ops.example' } });
    const refusal = await hub.connect({ Origin: 'https://evil.example' }).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ status: 403 });
    const page = await hub.connect({ Origin: 'https://ops.example' });
    await page.register({ nodeId: 'n-1' });
    const own = await hub.connect({ Origin: hub.url });
    await own.register({ nodeId: 'n-2' });
  });
});

/** A request with a Host of its own, which `fetch` does not allow. Returns the status line. */
async function statusOf(
  hub: Awaited<ReturnType<TestHubs['start']>>,
  path: string,
  host: string,
  upgrade: boolean,
) {
  const raw = await hub.rawSocket();
  if (upgrade) return (await raw.upgrade(path, { Host: host })).slice(9, 12);
  raw.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  return (await raw.head()).slice(9, 12);
}

describe('a name of another site that leads to this machine', () => {
  const socketIo = '/socket.io/?EIO=4&transport=websocket';
  test.each([
    ['/agent', true],
    [socketIo, true],
    ['/api/v1/nodes', false],
    ['/api/v1/nodes/n-1', false],
    ['/', false],
  ])('[AUTH-3] is refused by an open hub at %s', async (path, upgrade) => {
    const hub = await hubs.start();
    expect(await statusOf(hub, path, `rebound.example:${hub.port}`, upgrade)).toBe('403');
    expect(await statusOf(hub, path, `localhost:${hub.port}`, upgrade)).not.toBe('403');
  });

  test('[AUTH-3] is no matter where both sides need tokens', async () => {
    const hub = await hubs.start({ settings });
    expect(await statusOf(hub, '/agent', 'hub.example', true)).toBe('401');
    expect(await statusOf(hub, socketIo, 'hub.example', true)).toBe('101');
    expect(await statusOf(hub, '/api/v1/nodes', 'hub.example', false)).toBe('401');
  });
});

describe('who may read over HTTP', () => {
  test.each(['/api/v1/nodes', '/api/v1/nodes/n-1', '/api/v1/summary', '/api/v1/events', '/metrics', '/'])(
    '[AUTH-7] %s needs the token of a reader',
    async (path) => {
      const hub = await hubs.start({ settings });
      const none = await hub.fetch(path);
      expect(none.status).toBe(401);
      expect(none.headers.get('WWW-Authenticate')).toBe('Bearer');
      expect(await none.json()).toMatchObject({ status: 401, code: 'unauthenticated' });
      expect((await hub.fetch(path, { headers: bearer('guess-guess') })).status).toBe(401);
      const agent = await hub.fetch(path, { headers: bearer('agent-old') });
      expect(agent.status).toBe(403);
      expect(await agent.json()).toMatchObject({ code: 'forbidden' });
      expect([200, 404]).toContain((await hub.fetch(path, { headers: bearer('reader-secret') })).status);
    },
  );

  test.each(['/healthz', '/readyz', '/healthz?probe=1', '/readyz?verbose'])(
    '[AUTH-8] %s is open to all, by any name',
    async (path) => {
      const locked = await hubs.start({ settings });
      expect((await locked.fetch(path)).status).toBe(200);
      const open = await hubs.start();
      expect(await statusOf(open, path, 'balancer.example', false)).toBe('200');
    },
  );
});

test('[AUTH-5] TRUST_PROXY takes the address of an agent from its proxy', async () => {
  const headers = { 'X-Forwarded-For': '203.0.113.7, 10.0.0.1' };
  const trusting = await hubs.start({ settings: { TRUST_PROXY: 'true' } });
  const behind = await trusting.connect(headers);
  expect((await behind.register({ nodeId: 'n-1' })).node.connection?.remoteAddress).toBe('203.0.113.7');
  const plain = await hubs.start();
  const direct = await plain.connect(headers);
  expect((await direct.register({ nodeId: 'n-1' })).node.connection?.remoteAddress).toBe('127.0.0.1');
});

test('[AUTH-9] no token comes into the log, not even a wrong one', async () => {
  const hub = await hubs.start({ settings });
  const agent = await hub.connect(bearer('agent-old'));
  const { session } = await agent.register({ nodeId: 'n-1' });
  await hub.connect(bearer('guess-guess')).catch(() => {});
  await hub.fetch('/api/v1/nodes', { headers: bearer('reader-secret') });
  agent.send('a message that is none');
  await agent.next();
  await hub.stop();
  const log = JSON.stringify(hub.log);
  for (const secret of ['agent-old', 'agent-new', 'reader-secret', 'guess-guess', 'a message', session]) {
    expect(log).not.toContain(secret);
  }
});

test('[LOG-1] lines about a session carry nodeId, the beginning of the session, and the hub', async () => {
  const hub = await hubs.start();
  const agent = await hub.connect();
  const { session } = await agent.register({ nodeId: 'n-1' });
  agent.socket.close(1000);
  await hub.nodeThat('n-1', ({ status }) => status === 'offline');
  await hub.stop();
  const fields = { nodeId: 'n-1', session: session.slice(0, 8), hubId: hub.hub.hubId };
  expect(hub.logged('Node registered successfully')).toMatchObject([{ level: 'info', fields }]);
  expect(hub.logged('Node connection ended')).toMatchObject([{ fields: { ...fields, code: 1000 } }]);
  for (const line of hub.log) expect(line.fields.hubId).toBe(hub.hub.hubId);
});
