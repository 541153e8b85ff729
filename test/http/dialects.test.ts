import { afterEach, describe, expect, it } from 'vitest';
import { DIALECTS } from '../../server/edge/dialects.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { registerAgent, registerMessage } from '../support/test-fleet.ts';
import { until } from '../support/until.ts';
import { startApi, type TestApi, type TestApiOptions } from './test-api.ts';

const apis: TestApi[] = [];
async function start(options: TestApiOptions = {}): Promise<TestApi> {
  const api = await startApi(options);
  apis.push(api);
  return api;
}
afterEach(async () => {
  await Promise.all(apis.splice(0).map((api) => api.close()));
});
const node = async (api: TestApi, id: string) => (await api.call('GET', `/api/v1/nodes/${id}`)).body;

/** A hub whose time passes when it is told, and its end. */
async function underFakeClock(run: (api: TestApi, clock: FakeClock) => Promise<void>): Promise<void> {
  const clock = new FakeClock();
  const api = await startApi({ clock });
  try {
    await run(api, clock);
  } finally {
    const closed = api.close();
    await clock.advance(2_000);
    await closed;
  }
}

const service = '/limiquantix.compute.v1.NodeService';

describe('Connect', () => {
  const registration = {
    hostname: 'hypervisor-01.local',
    managementIp: '192.168.1.10:9090',
    labels: { zone: 'us-east-1a', rack: 'rack-42' },
    role: { compute: true, storage: false, controlPlane: false },
    cpuInfo: {
      model: 'Intel Xeon E5-2680 v4',
      sockets: 2,
      coresPerSocket: 14,
      threadsPerCore: 2,
      features: ['vmx', 'avx2'],
    },
    memoryInfo: { totalMib: 262_144, allocatableMib: 245_760 },
  };

  it('[DIALECT-1] RegisterNode answers with the whole node, port and role as they came', async () => {
    const api = await start();
    const { status, body } = await api.call('POST', `${service}/RegisterNode`, registration);
    expect(status).toBe(200);
    expect(body).toMatchObject({ ...registration, status: { phase: 'READY' } });
    expect(body.id).toMatch(/^[0-9a-f-]{36}$/);
    expect(body.createdAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(await node(api, body.id)).toMatchObject({
      address: '192.168.1.10:9090',
      roles: ['compute'],
      cpu: registration.cpuInfo,
      memory: registration.memoryInfo,
      heartbeat: { intervalMs: 30_000, timeoutMs: 90_000 },
      connection: { transport: 'http' },
    });
  });

  it('[DIALECT-2] the same hostname is the same node after a restart; concurrent registrations end as one', async () => {
    const api = await start();
    const first = await api.call('POST', `${service}/RegisterNode`, {
      hostname: 'Gal-Laptop-UB',
      managementIp: '192.168.0.53:9090',
    });
    const again = await Promise.all(
      Array.from({ length: 8 }, () =>
        api.call('POST', `${service}/RegisterNode`, { hostname: 'Gal-Laptop-UB' }),
      ),
    );
    for (const { status, body } of again) {
      expect([status, body.id, body.createdAt]).toEqual([200, first.body.id, first.body.createdAt]);
    }
    expect(api.fleet.view.size).toBe(1);
  });

  it('[DIALECT-3] UpdateHeartbeat takes the figures, also as strings as Proto3 JSON writes them', async () => {
    const api = await start();
    const { body } = await api.call('POST', `${service}/RegisterNode`, {
      ...registration,
      memoryInfo: { totalMib: '262144', allocatableMib: '245760' },
    });
    expect(body.memoryInfo).toEqual(registration.memoryInfo);
    const named = { ...registration, cpuInfo: { model: '8280', sockets: '2' } };
    const { body: again } = await api.call('POST', `${service}/RegisterNode`, named);
    expect(again.cpuInfo).toEqual({ model: '8280', sockets: 2 });
    const beat = { nodeId: body.id, cpuUsagePercent: 35.2, memoryUsedMib: 98_304, memoryTotalMib: 262_144 };
    expect((await api.call('POST', `${service}/UpdateHeartbeat`, beat)).status).toBe(200);
    const figures = { cpuPercent: 35.2, memoryUsedMib: 98_304, memoryTotalMib: 262_144 };
    expect((await node(api, body.id)).stats).toMatchObject(figures);
    const strings = {
      nodeId: body.id,
      cpuUsagePercent: 35.2,
      memoryUsedMib: '98304',
      memoryTotalMib: '262144',
    };
    expect((await api.call('POST', `${service}/UpdateHeartbeat`, strings)).status).toBe(200);
    expect((await node(api, body.id)).stats).toMatchObject(figures);
  });

  it('[DIALECT-4] ListNodes and GetNode show every node, by its phase', async () => {
    const api = await start();
    const { body } = await api.call('POST', `${service}/RegisterNode`, {
      hostname: 'Gals-MacBook-Pro.local',
      managementIp: '192.168.0.144:9090',
    });
    await registerAgent(api.fleet, registerMessage({ nodeId: 'ws-1', roles: ['storage'] }));
    const list = await api.call('POST', `${service}/ListNodes`, {});
    expect(list.body.nodes).toHaveLength(2);
    expect(list.body.nodes).toContainEqual(
      expect.objectContaining({
        id: body.id,
        hostname: 'Gals-MacBook-Pro.local',
        managementIp: '192.168.0.144:9090',
        status: { phase: 'READY' },
      }),
    );
    const one = await api.call('POST', `${service}/GetNode`, { id: 'ws-1' });
    expect(one.body).toMatchObject({ id: 'ws-1', role: { storage: true }, status: { phase: 'READY' } });
  });

  it('[DIALECT-5] NOT_READY after 90 s of silence, READY at the next heartbeat', () =>
    underFakeClock(async (api, clock) => {
      await clock.advance(91_000);
      const { body } = await api.call('POST', `${service}/RegisterNode`, registration);
      const phase = async () =>
        (await api.call('POST', `${service}/GetNode`, { id: body.id })).body.status.phase;
      await clock.advance(89_000);
      expect(await phase()).toBe('READY');
      await clock.advance(2_000);
      expect(await phase()).toBe('NOT_READY');
      await api.call('POST', `${service}/UpdateHeartbeat`, { nodeId: body.id });
      expect(await phase()).toBe('READY');
    }));

  it("[DIALECT-6] errors are Connect's: not_found 404, invalid_argument 400, unavailable 503, unauthenticated 401", async () => {
    const api = await start();
    const error = async (path: string, body: unknown, headers = {}, on = api) => {
      const answered = await on.call('POST', `${service}/${path}`, body, headers);
      expect(Object.keys(answered.body)).toEqual(['code', 'message']);
      return [answered.status, answered.body.code];
    };
    expect(await error('UpdateHeartbeat', { nodeId: 'nobody' })).toEqual([404, 'not_found']);
    expect(await error('GetNode', { id: 'nobody' })).toEqual([404, 'not_found']);
    expect(await error('RegisterNode', {})).toEqual([400, 'invalid_argument']);
    expect(await error('RegisterNode', '{')).toEqual([400, 'invalid_argument']);
    await registerAgent(api.fleet, registerMessage({ nodeId: 'ws-1' }));
    expect(await error('UpdateHeartbeat', { nodeId: 'ws-1' })).toEqual([409, 'aborted']);
    api.store.fault = 'away';
    expect(await error('RegisterNode', registration)).toEqual([503, 'unavailable']);
    const closed = await start({
      rules: { agentTokens: ['agent-token'], dashboardTokens: ['reader-token'] },
    });
    expect(await error('RegisterNode', registration, {}, closed)).toEqual([401, 'unauthenticated']);
  });
});

describe('GPU nodes', () => {
  const registration = {
    node_id: 'gpu-node-1',
    machine_id: 'machine-alpha',
    address: 'http://192.168.1.100:9200',
    pools: ['pool-0', 'pool-1'],
    capabilities: { gpu_count: 2, total_vram_mb: 48_000, cuda_version: '12.1' },
  };
  const heartbeat = {
    timestamp: '2025-10-01T00:00:00Z',
    pools: [{ pool_id: 'pool-0', ready: true, slots_free: 4 }],
  };

  it('[DIALECT-7] register: node_id is id and hostname, pools and capabilities stay as they came', async () => {
    const api = await start();
    const { status, body } = await api.call('POST', '/v2/nodes/register', registration);
    expect([status, body.node_id]).toEqual([200, 'gpu-node-1']);
    expect(await node(api, 'gpu-node-1')).toMatchObject({
      hostname: 'gpu-node-1',
      machineId: 'machine-alpha',
      address: 'http://192.168.1.100:9200',
      pools: ['pool-0', 'pool-1'],
      capabilities: { gpu_count: 2, total_vram_mb: 48_000, cuda_version: '12.1' },
      heartbeat: { intervalMs: 10_000, timeoutMs: 30_000 },
    });
  });

  it('[DIALECT-8] heartbeats bring the status of pools; an unknown node is 404', async () => {
    const api = await start();
    expect((await api.call('POST', '/v2/nodes/gpu-node-1/heartbeat', heartbeat)).status).toBe(404);
    await api.call('POST', '/v2/nodes/register', registration);
    expect((await api.call('POST', '/v2/nodes/gpu-node-1/heartbeat', heartbeat)).status).toBe(200);
    expect((await node(api, 'gpu-node-1')).stats).toMatchObject({
      at: '2025-10-01T00:00:00Z',
      pools: [{ poolId: 'pool-0', ready: true, slotsFree: 4 }],
    });
  });

  it("[DIALECT-9] DELETE takes the node along as deregistered, with the agent's token; not that of a socket", async () => {
    const api = await start({ rules: { agentTokens: ['agent-secret'], dashboardTokens: ['reader-secret'] } });
    const agent = { authorization: 'Bearer agent-secret' };
    expect((await api.call('POST', '/v2/nodes/register', registration)).status).toBe(401);
    expect((await api.call('POST', '/v2/nodes/register', registration, agent)).status).toBe(200);
    expect((await api.call('DELETE', '/v2/nodes/gpu-node-1')).status).toBe(401);
    expect((await api.call('DELETE', '/v2/nodes/gpu-node-1', undefined, agent)).status).toBe(200);
    const [newest] = await api.fleet.history({ id: 'gpu-node-1', limit: 1 });
    expect(newest).toMatchObject({ type: 'removed', reason: 'deregistered' });
    expect((await api.call('DELETE', '/v2/nodes/gpu-node-1', undefined, agent)).status).toBe(404);
    await registerAgent(api.fleet, registerMessage({ nodeId: 'ws-1' }));
    expect((await api.call('DELETE', '/v2/nodes/ws-1', undefined, agent)).status).toBe(409);
  });

  it('[DIALECT-10] offline 30 s after the last heartbeat', () =>
    underFakeClock(async (api, clock) => {
      await clock.advance(31_000);
      await api.call('POST', '/v2/nodes/register', registration);
      await clock.advance(29_000);
      expect((await node(api, 'gpu-node-1')).status).toBe('online');
      await clock.advance(2_000);
      expect((await node(api, 'gpu-node-1')).status).toBe('offline');
    }));
});

describe('a fleet manager', () => {
  const id = 'microclaw-esp32-f4cfa210';
  const registration = {
    node_id: id,
    node_type: 'microclaw',
    capabilities: ['dht22', 'mqtt'],
    location: 'office-floor-2',
    metadata: { gateway: 'nanoclaw-pi-01', firmware: 'v1.0.0' },
  };
  const heartbeat = {
    node_id: id,
    uptime_seconds: 86_400,
    free_memory_kb: 200,
    sensors_active: 2,
    status: 'online',
  };
  const wholeSeconds = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

  it('[DIALECT-11] register answers as printed, and again for an update', async () => {
    const api = await start();
    for (const location of ['office-floor-2', 'office-floor-3']) {
      const { status, body } = await api.call('POST', '/api/v1/fleet/register', {
        ...registration,
        location,
      });
      expect(status).toBe(200);
      expect(body).toEqual({
        node_id: id,
        status: 'registered',
        message: 'Node successfully registered',
        timestamp: expect.stringMatching(wholeSeconds),
      });
    }
    expect((await node(api, id)).location).toBe('office-floor-3');
    expect(api.fleet.view.size).toBe(1);
  });

  it('[DIALECT-12] heartbeat answers as printed; uptime, memory and sensors are stats', async () => {
    const api = await start();
    await api.call('POST', '/api/v1/fleet/register', registration);
    const { status, body } = await api.call('POST', '/api/v1/fleet/heartbeat', heartbeat);
    expect(status).toBe(200);
    expect(body).toEqual({
      node_id: id,
      received: expect.stringMatching(wholeSeconds),
      next_check_seconds: 60,
    });
    expect((await node(api, id)).stats).toMatchObject({
      uptimeSeconds: 86_400,
      metrics: { free_memory_kb: 200, sensors_active: 2 },
    });
  });

  it('[DIALECT-13] the minimal payloads of its Go example are enough', async () => {
    const api = await start();
    const minimal = { node_id: id, node_type: 'microclaw', capabilities: ['dht22'] };
    expect((await api.call('POST', '/api/v1/fleet/register', minimal)).status).toBe(200);
    expect(
      (await api.call('POST', '/api/v1/fleet/heartbeat', { node_id: id, uptime_seconds: 3600 })).status,
    ).toBe(200);
    const bare = await api.call('POST', '/api/v1/fleet/register', { node_id: 'bare', node_type: 'picclaw' });
    expect(bare.status).toBe(200);
  });

  it('[DIALECT-14] the list answers as printed and filters by node_type, status and location', async () => {
    const api = await start();
    await api.call('POST', '/api/v1/fleet/register', registration);
    await api.call('POST', '/api/v1/fleet/register', {
      node_id: 'pi',
      node_type: 'nanoclaw',
      location: 'lab',
    });
    const shown = {
      id,
      name: id,
      type: 'microclaw',
      capabilities: ['dht22', 'mqtt'],
      location: 'office-floor-2',
      last_seen: expect.stringMatching(wholeSeconds),
      status: 'online',
      metadata: registration.metadata,
    };
    const ids = async (query: string) => {
      const { body } = await api.call('GET', `/api/v1/fleet/nodes${query}`);
      expect(body.count).toBe(body.nodes.length);
      return body.nodes.map((one: { id: string }) => one.id);
    };
    expect((await api.call('GET', '/api/v1/fleet/nodes?node_type=microclaw')).body).toEqual({
      nodes: [shown],
      count: 1,
    });
    expect(await ids('')).toEqual([id, 'pi']);
    expect(await ids('?status=online')).toEqual([id, 'pi']);
    expect(await ids('?status=offline')).toEqual([]);
    expect(await ids('?location=lab')).toEqual(['pi']);
    expect(await ids('?location=lab&node_type=microclaw')).toEqual([]);
    expect((await api.call('GET', `/api/v1/fleet/nodes/${id}`)).body).toEqual(shown);
    expect((await api.call('GET', '/api/v1/fleet/nodes/nobody')).status).toBe(404);
  });

  it('[DIALECT-15] 400 for missing fields and bad JSON, 404 for a heartbeat before the registration', async () => {
    const api = await start();
    for (const body of [
      { node_type: 'microclaw' },
      { node_id: id },
      '{',
      { node_id: '../x', node_type: 'y' },
    ]) {
      expect((await api.call('POST', '/api/v1/fleet/register', body)).status).toBe(400);
    }
    expect((await api.call('POST', '/api/v1/fleet/heartbeat', { uptime_seconds: 1 })).status).toBe(400);
    const unknown = await api.call('POST', '/api/v1/fleet/heartbeat', heartbeat);
    expect(unknown.status).toBe(404);
    expect(unknown.body.error).toContain('register first');
  });

  it('[DIALECT-16] 409 only while a socket that beat within one interval holds the id', () =>
    underFakeClock(async (api, clock) => {
      const socket = registerAgent(api.fleet, registerMessage({ nodeId: id }));
      await clock.settle();
      await socket;
      expect((await api.call('POST', '/api/v1/fleet/register', registration)).status).toBe(409);
      await clock.advance(10_500);
      expect((await api.call('POST', '/api/v1/fleet/register', registration)).status).toBe(200);
      expect((await api.call('POST', '/api/v1/fleet/register', registration)).status).toBe(200);
    }));

  it('[DIALECT-17] degraded in a heartbeat is a failing condition, online ends it', async () => {
    const api = await start();
    await api.call('POST', '/api/v1/fleet/register', registration);
    await api.call('POST', '/api/v1/fleet/heartbeat', { ...heartbeat, status: 'degraded' });
    await until('it is degraded', async () => (await node(api, id)).status === 'degraded');
    expect(await node(api, id)).toMatchObject({ conditions: [{ type: 'status', status: 'fail' }] });
    expect((await api.call('GET', `/api/v1/fleet/nodes/${id}`)).body.status).toBe('degraded');
    await api.call('POST', '/api/v1/fleet/heartbeat', heartbeat);
    await until('it is online', async () => (await node(api, id)).status === 'online');
  });

  it('[STAT-14] a status that is neither leaves it as it is, also after another registration, and is named', async () => {
    const api = await start();
    await api.call('POST', '/api/v1/fleet/register', registration);
    await api.call('POST', '/api/v1/fleet/heartbeat', { ...heartbeat, status: 'degraded' });
    await until('it is degraded', async () => (await node(api, id)).status === 'degraded');
    await api.call('POST', '/api/v1/fleet/register', registration);
    for (const status of ['rebooting', 7]) {
      const answer = await api.call('POST', '/api/v1/fleet/heartbeat', { ...heartbeat, status });
      expect([answer.status, answer.headers.get('rollcall-dropped')]).toEqual([200, 'status']);
    }
    expect(await node(api, id)).toMatchObject({ status: 'degraded', conditions: [{ type: 'status' }] });
  });

  it('[DIALECT-18] last_seen is live, and offline comes after 3 minutes', () =>
    underFakeClock(async (api, clock) => {
      await clock.advance(181_000);
      await api.call('POST', '/api/v1/fleet/register', registration);
      const shown = async () => (await api.call('GET', `/api/v1/fleet/nodes/${id}`)).body;
      await clock.advance(60_000);
      const { body } = await api.call('POST', '/api/v1/fleet/heartbeat', heartbeat);
      expect((await shown()).last_seen).toBe(body.received);
      await clock.advance(179_000);
      expect((await shown()).status).toBe('online');
      await clock.advance(2_000);
      expect(await shown()).toMatchObject({ status: 'offline', last_seen: body.received });
    }));

  it('[DIALECT-19] unreachable shows as online', async () => {
    const api = await start();
    const { session } = await registerAgent(api.fleet, registerMessage({ nodeId: 'ws-1' }));
    await api.fleet.closed(session, { goodbye: false, code: 1006 });
    await until('it is unreachable', async () => (await node(api, 'ws-1')).status === 'unreachable');
    expect((await api.call('GET', '/api/v1/fleet/nodes?status=online')).body).toMatchObject({
      count: 1,
      nodes: [{ status: 'online' }],
    });
  });
});

describe('game hosts', () => {
  const registration = {
    nodeId: 'node-1',
    hostname: 'host-machine',
    ipAddress: '192.168.1.100',
    maxServers: 20,
  };
  const heartbeat = {
    cpuUsage: 45.2,
    memoryUsage: 67.8,
    diskUsage: 23.4,
    containerCount: 3,
    timestamp: '2025-07-03T10:30:00Z',
  };

  it('[DIALECT-20] register: maxServers is a capacity', async () => {
    const api = await start();
    const { status, body } = await api.call('POST', '/api/nodes/register', registration);
    expect([status, body]).toEqual([
      200,
      { ...registration, status: 'ONLINE', lastHeartbeat: expect.any(String) },
    ]);
    expect(await node(api, 'node-1')).toMatchObject({
      hostname: 'host-machine',
      address: '192.168.1.100',
      capacity: { maxServers: 20 },
      heartbeat: { intervalMs: 60_000, timeoutMs: 180_000 },
    });
    expect((await api.call('POST', '/api/nodes/register', registration)).status).toBe(200);
    expect(api.fleet.view.size).toBe(1);
  });

  it('[DIALECT-21] stats: usage and containers are stats; an unknown node is 404, so that its agent registers again', async () => {
    const api = await start();
    expect((await api.call('POST', '/api/nodes/node-1/stats', heartbeat)).status).toBe(404);
    await api.call('POST', '/api/nodes/register', registration);
    const { status, body } = await api.call('POST', '/api/nodes/node-1/stats', heartbeat);
    expect([status, body.status]).toEqual([200, 'ONLINE']);
    expect((await node(api, 'node-1')).stats).toMatchObject({
      cpuPercent: 45.2,
      memoryPercent: 67.8,
      diskPercent: 23.4,
      metrics: { containerCount: 3 },
      at: '2025-07-03T10:30:00Z',
    });
    expect((await api.call('POST', '/api/nodes/register', {})).status).toBe(400);
  });

  it('[DIALECT-22] OFFLINE 3 minutes after the last heartbeat, ONLINE when they resume', () =>
    underFakeClock(async (api, clock) => {
      await clock.advance(181_000);
      await api.call('POST', '/api/nodes/register', registration);
      await clock.advance(179_000);
      expect((await node(api, 'node-1')).status).toBe('online');
      await clock.advance(2_000);
      expect((await node(api, 'node-1')).status).toBe('offline');
      expect((await api.call('POST', '/api/nodes/node-1/stats', heartbeat)).body.status).toBe('ONLINE');
      expect(await node(api, 'node-1')).toMatchObject({ status: 'online', reason: 'reconnected' });
    }));
});

describe('the dialects', () => {
  const paths = [
    ['connect', `${service}/RegisterNode`, { hostname: 'a' }],
    ['gpu-node', '/v2/nodes/register', { node_id: 'b' }],
    ['fleet-manager', '/api/v1/fleet/register', { node_id: 'c', node_type: 't' }],
    ['game-host', '/api/nodes/register', { nodeId: 'd' }],
  ] as const;
  const tokens = { agentTokens: ['agent-token'], dashboardTokens: ['reader-token'] };

  it('[DIALECT-23] a dialect that is off answers 404, with or without a token', async () => {
    for (const [off] of paths) {
      const on = DIALECTS.filter((name) => name !== off);
      const api = await start({ dialects: on });
      for (const [name, path, body] of paths) {
        expect((await api.call('POST', path, body)).status, `${name} without ${off}`).toBe(
          name === off ? 404 : 200,
        );
      }
    }
  });

  it('[DIALECT-24] OPEN_DIALECTS admits named dialects from named networks without a token', async () => {
    const api = await start({
      rules: tokens,
      open: ['connect', 'fleet-manager@127.0.0.0/8', 'game-host@10.0.0.0/8'],
    });
    const statuses = await Promise.all(
      paths.map(async ([, path, body]) => (await api.call('POST', path, body)).status),
    );
    expect(statuses).toEqual([200, 401, 200, 401]);
    expect((await api.call('GET', '/api/v1/fleet/nodes')).status).toBe(200);
    expect((await api.call('GET', '/api/v1/nodes')).status).toBe(401);
  });

  it("[DIALECT-25] behind a proxy the network is judged by what the proxy wrote, not by the client's own words", async () => {
    const api = await start({ rules: { ...tokens, trustProxy: true }, open: ['fleet-manager@10.0.0.0/8'] });
    const [, , [, path, body]] = paths;
    const from = async (forwarded: string) =>
      (await api.call('POST', path, body, { 'x-forwarded-for': forwarded })).status;
    expect(await from('192.0.2.1, 10.1.2.3')).toBe(200);
    expect(await from('10.1.2.3, 192.0.2.1')).toBe(401);
  });

  it('[DIALECT-26] its nodes are seen like any other, in lists and on the log', async () => {
    const api = await start();
    const { body } = await api.call('GET', '/api/v1/events');
    for (const [, path, register] of paths) await api.call('POST', path, register);
    const { body: list } = await api.call('GET', '/api/v1/nodes?status=online');
    expect(list.total).toBe(4);
    const { body: log } = await api.call('GET', `/api/v1/events?since=${body.cursor}`);
    expect(log.events.map(({ type }: { type: string }) => type)).toEqual(Array(4).fill('registered'));
  });
});

describe('what is wrong in the words of a dialect', () => {
  const wrong: Array<[string, string, unknown, string | null]> = [
    ['connect registers', `${service}/RegisterNode`, { hostname: 'h-1', labels: { a: 7 } }, 'labels.a'],
    [
      'gpu-node registers',
      '/v2/nodes/register',
      { node_id: 'n-1', pools: 7, machine_id: 3 },
      'machine_id, pools',
    ],
    [
      'gpu-node beats',
      '/v2/nodes/n-1/heartbeat',
      { pools: [{ pool_id: 'p' }] },
      'pools.0.ready, pools.0.slots_free',
    ],
    [
      'fleet-manager registers',
      '/api/v1/fleet/register',
      { node_id: 'n-2', node_type: 't', location: 7 },
      'location',
    ],
    [
      'fleet-manager beats',
      '/api/v1/fleet/heartbeat',
      { node_id: 'n-2', uptime_seconds: -1 },
      'uptime_seconds',
    ],
    ['game-host registers', '/api/nodes/register', { nodeId: 'n-3', maxServers: 2 ** 60 }, 'maxServers'],
    ['game-host beats', '/api/nodes/n-3/stats', { cpuUsage: -0.1, memoryUsage: 40 }, 'cpuUsage'],
    ['game-host beats with nothing wrong', '/api/nodes/n-3/stats', { cpuUsage: 1 }, null],
  ];
  it('[STAT-11] is dropped and named in a header, and the rest counts', async () => {
    const api = await start();
    for (const [name, path, body, dropped] of wrong) {
      const answer = await api.call('POST', path, body);
      expect([name, answer.status, answer.headers.get('rollcall-dropped')]).toEqual([name, 200, dropped]);
    }
    const { body: h1 } = await api.call('POST', `${service}/RegisterNode`, { hostname: 'h-1' });
    const figures = {
      nodeId: h1.id,
      cpuUsagePercent: -1,
      memoryUsedMib: '9007199254740993',
      memoryTotalMib: '8',
    };
    const beat = await api.call('POST', `${service}/UpdateHeartbeat`, figures);
    expect(beat.headers.get('rollcall-dropped')).toBe('cpuUsagePercent, memoryUsedMib');
    expect(await node(api, h1.id)).toMatchObject({ stats: { memoryTotalMib: 8 } });
    expect(await node(api, 'n-3')).toMatchObject({ status: 'online', hostname: 'n-3' });
  });

  it('[STAT-11] is refused where it says which node it is', async () => {
    const api = await start();
    const nobody = await api.call('POST', '/api/v1/fleet/heartbeat', { node_id: 7 });
    expect(nobody.status).toBe(400);
    expect((await api.call('POST', '/v2/nodes/register', { node_id: 'a b' })).status).toBe(400);
  });
});
