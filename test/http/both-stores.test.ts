import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../server/runtime/clock.ts';
import { RedisStore } from '../../server/store/redis/redis-store.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { registerAgent, registerMessage } from '../support/test-fleet.ts';
import { until } from '../support/until.ts';
import { startApi, type TestApi } from './test-api.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

const service = '/limiquantix.compute.v1.NodeService';
/** Silence is short here: a store in real time is judged in real time. */
const timing = { intervalMs: 300, timeoutMs: 900 };
let prefixes = 0;

type Call = readonly [path: string, body: unknown];

/** Each way to register and to beat; `id` is the node's, where the agent says it. */
const agents: ReadonlyArray<{ name: string; id: string; register: Call; beat: (id: string) => Call }> = [
  {
    name: 'the API',
    id: 'api-1',
    register: ['/api/v1/nodes', { node: { hostname: 'api-1', nodeId: 'api-1' } }],
    beat: (id: string) => [`/api/v1/nodes/${id}/heartbeat`, { stats: { cpuPercent: 7 } }],
  },
  {
    name: 'Connect',
    id: '',
    register: [`${service}/RegisterNode`, { hostname: 'hypervisor-01.local' }],
    beat: (id: string) => [`${service}/UpdateHeartbeat`, { nodeId: id, cpuUsagePercent: 7 }],
  },
  {
    name: 'GPU nodes',
    id: 'gpu-node-1',
    register: ['/v2/nodes/register', { node_id: 'gpu-node-1' }],
    beat: (id: string) => [`/v2/nodes/${id}/heartbeat`, { pools: [] }],
  },
  {
    name: 'a fleet manager',
    id: 'microclaw-esp32-f4cfa210',
    register: ['/api/v1/fleet/register', { node_id: 'microclaw-esp32-f4cfa210', node_type: 'microclaw' }],
    beat: (id: string) => ['/api/v1/fleet/heartbeat', { node_id: id, uptime_seconds: 3600 }],
  },
  {
    name: 'game hosts',
    id: 'node-1',
    register: ['/api/nodes/register', { nodeId: 'node-1' }],
    beat: (id: string) => [`/api/nodes/${id}/stats`, { cpuUsage: 7 }],
  },
];

describe.each(['memory', 'redis'])('agents without a socket on the store of %s', (kind) => {
  let api: TestApi;
  afterEach(() => api.close());

  async function start(): Promise<TestApi> {
    prefixes += 1;
    const keyPrefix = `http-${process.pid}-${prefixes}`;
    const stored = kind === 'redis' && new RedisStore({ url: redis.url, clock: systemClock, keyPrefix });
    if (stored) await stored.open();
    api = await startApi({ ...(stored && { stored }), timing, dialectTiming: timing });
    return api;
  }
  const post = (path: string, body: unknown) => api.call('POST', path, body);
  const statusOf = (id: string) => api.fleet.view.get(id)?.node.status;

  it.each(agents)('registers, beats, goes silent and comes back by $name', async ({ id, register, beat }) => {
    await start();
    const early = await post(...beat(id || 'nobody'));
    expect(early.status).toBe(404);
    const many = await Promise.all(Array.from({ length: 6 }, () => post(...register)));
    for (const { status } of many) expect([200, 201]).toContain(status);
    expect(api.fleet.view.size).toBe(1);
    const [only = ''] = api.fleet.view.ids();
    expect(only).toBe(id || only);
    expect((await post(...beat(only))).status).toBe(200);
    const { createdAt } = api.fleet.view.get(only)?.node ?? {};
    await until('it is offline', () => statusOf(only) === 'offline');
    expect(api.fleet.view.get(only)?.node.reason).toBe('heartbeat_timeout');
    expect((await post(...beat(only))).status).toBe(200);
    expect(api.fleet.view.get(only)?.node).toMatchObject({
      status: 'online',
      reason: 'reconnected',
      createdAt,
    });
  });

  it.each(agents)(
    'does not beat for a socket, and is superseded by one, by $name',
    async ({ register, beat }) => {
      await start();
      await post(...register);
      const [only = ''] = api.fleet.view.ids();
      const hostname = api.fleet.view.get(only)?.node.hostname ?? '';
      const { session, reply } = await registerAgent(api.fleet, registerMessage({ nodeId: only, hostname }));
      expect(reply.reregistered).toBe(true);
      await until(
        'the view shows it',
        () => api.fleet.view.get(only)?.node.connection?.transport === 'websocket',
      );
      expect((await post(...beat(only))).status).toBe(409);
      await api.fleet.closed(session, { goodbye: true, code: 1000 });
      await until('it is offline', () => statusOf(only) === 'offline');
      expect((await post(...beat(only))).status).toBe(409);
      expect([200, 201]).toContain((await post(...register)).status);
      expect((await post(...beat(only))).status).toBe(200);
      expect(statusOf(only)).toBe('online');
    },
  );

  it('takes the session of the newest registration only', async () => {
    await start();
    const [path, body]: Call = ['/api/v1/nodes', { node: { hostname: 'api-1', nodeId: 'api-1' } }];
    const [first, second] = [await post(path, body), await post(path, body)];
    const beat = (session: string) => post('/api/v1/nodes/api-1/heartbeat', { session });
    expect((await beat(first.body.session)).status).toBe(409);
    expect((await beat(second.body.session)).status).toBe(200);
  });
});
