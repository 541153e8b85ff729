import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../server/runtime/clock.ts';
import { MemoryFleet } from '../../server/store/memory/memory-store.ts';
import { AgentClient } from '../support/agent-client.ts';
import { type TestHub, TestHubs } from '../support/test-hub.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

let memory: MemoryFleet;
beforeEach(() => {
  memory = new MemoryFleet(systemClock, 4);
});

/** The store is the test's own: the URL only says that the fleet is not in the hub's memory. */
const serving = (SERVE: string): Promise<TestHub> =>
  hubs.start({ memory, settings: { SERVE, REDIS_URL: 'redis://unused' } });

const reads: ReadonlyArray<readonly [method: string, path: string]> = [
  ['GET', '/'],
  ['GET', '/api/v1/nodes'],
  ['HEAD', '/api/v1/nodes'],
  ['GET', '/api/v1/nodes/n-1'],
  ['DELETE', '/api/v1/nodes/n-1'],
  ['GET', '/api/v1/summary'],
  ['GET', '/api/v1/events'],
];
const agentRequests: ReadonlyArray<readonly [method: string, path: string]> = [
  ['POST', '/api/v1/nodes'],
  ['POST', '/api/v1/nodes/n-1/heartbeat'],
];
const forAll = ['/healthz', '/readyz', '/metrics', '/openapi.json', '/asyncapi.json', '/docs/'];

/** Sends an upgrade by hand and returns the status of the answer. */
async function upgradeStatus(hub: TestHub, path: string): Promise<number> {
  const url = `${hub.url.replace('http', 'ws')}${path}`;
  return AgentClient.open(url).then(
    (client) => {
      client.destroy();
      return 101;
    },
    (error: { status: number }) => error.status,
  );
}

describe('a hub that serves agents only', () => {
  test.each(reads)('[ROLE-1] answers %s %s with 421 not_served', async (method, path) => {
    const hub = await serving('agents');
    const response = await hub.fetch(path, { method });
    expect(response.status).toBe(421);
    if (method === 'HEAD') return;
    expect(await response.json()).toMatchObject({
      code: 'not_served',
      detail: 'this hub serves agents only',
    });
  });

  test('[ROLE-1] refuses dashboards, and admits agents with and without a socket', async () => {
    const hub = await serving('agents');
    expect(await upgradeStatus(hub, '/socket.io/?EIO=4&transport=websocket')).toBe(421);
    const agent = await hub.connect();
    expect(await agent.register({ nodeId: 'n-1' })).toMatchObject({ nodeId: 'n-1', reregistered: false });
    const body = JSON.stringify({ node: { nodeId: 'n-2', hostname: 'n-2' } });
    const headers = { 'content-type': 'application/json' };
    expect((await hub.fetch('/api/v1/nodes', { method: 'POST', body, headers })).status).toBe(201);
    const beat = await hub.fetch('/api/v1/nodes/n-2/heartbeat', { method: 'POST', body: '{}', headers });
    expect(await beat.json()).toMatchObject({ nodeId: 'n-2', status: 'online' });
  });

  test.each(forAll)('[ROLE-1] answers %s like any hub', async (path) => {
    const hub = await serving('agents');
    expect((await hub.fetch(path)).status).toBe(200);
  });

  test('[ROLE-1] is ready without a view, and tells nothing of the whole fleet in its metrics', async () => {
    const hub = await serving('agents');
    await hub.agent({ nodeId: 'n-1' });
    expect(await (await hub.fetch('/readyz')).json()).toMatchObject({
      status: 'ready',
      serves: 'agents',
      viewLoaded: false,
    });
    const metrics = await (await hub.fetch('/metrics')).text();
    expect(metrics).toMatch(/^rollcall_sessions 1$/m);
    expect(metrics).not.toMatch(/^rollcall_nodes\{/m);
  });

  test('[ROLE-1] answers 404 where there is nothing on any hub', async () => {
    const hub = await serving('agents');
    expect((await hub.fetch('/nothing')).status).toBe(404);
    expect(await upgradeStatus(hub, '/nothing')).toBe(404);
  });
});

describe('a hub that serves dashboards only', () => {
  test.each(agentRequests)('[ROLE-2] answers %s %s with 421 not_served', async (method, path) => {
    const hub = await serving('dashboards');
    const headers = { 'content-type': 'application/json' };
    const response = await hub.fetch(path, { method, body: '{}', headers });
    expect(response.status).toBe(421);
    expect(await response.json()).toMatchObject({
      code: 'not_served',
      detail: 'this hub serves dashboards only',
    });
  });

  test("[ROLE-2] refuses agents' sockets and dialects, in the dialect's own words", async () => {
    const hub = await serving('dashboards');
    expect(await upgradeStatus(hub, '/agent')).toBe(421);
    const service = '/limiquantix.compute.v1.NodeService';
    const ask = (verb: string, body: object) =>
      hub.fetch(`${service}/${verb}`, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      });
    const refused = await ask('RegisterNode', { hostname: 'h' });
    expect([refused.status, await refused.json()]).toEqual([
      421,
      { code: 'unimplemented', message: 'this hub serves dashboards only' },
    ]);
    expect((await ask('ListNodes', {})).status).toBe(200);
  });

  test('[ROLE-2] shows what agents of other hubs do, and its operators remove their nodes', async () => {
    const [door, hub] = await Promise.all([serving('agents'), serving('dashboards')]);
    const agent = await door.agent({ nodeId: 'n-1' });
    await hub.nodeThat('n-1', ({ status }) => status === 'online');
    expect(await (await hub.fetch('/api/v1/nodes')).json()).toMatchObject({ total: 1 });
    expect((await hub.fetch('/api/v1/nodes/n-1', { method: 'DELETE' })).status).toBe(200);
    expect(await agent.closed).toMatchObject({ code: 4404 });
  });

  test.each(forAll)('[ROLE-2] answers %s like any hub', async (path) => {
    const hub = await serving('dashboards');
    expect((await hub.fetch(path)).status).toBe(200);
  });
});

test.each([...reads, ...agentRequests])(
  '[ROLE-3] a hub that serves all refuses nobody: %s %s',
  async (method, path) => {
    const hub = await serving('all');
    const headers = { 'content-type': 'application/json' };
    const init = method === 'POST' ? { method, body: '{}', headers } : { method };
    const response = await hub.fetch(path, init);
    await response.body?.cancel();
    expect(response.status).not.toBe(421);
  },
);
