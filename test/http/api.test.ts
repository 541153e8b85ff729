import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { registerAgent, registerMessage } from '../support/test-fleet.ts';
import { until } from '../support/until.ts';
import { startApi, type TestApi, type TestApiOptions } from './test-api.ts';

describe('the API', () => {
  const apis: TestApi[] = [];
  const start = async (options: TestApiOptions = {}): Promise<TestApi> => {
    const api = await startApi(options);
    apis.push(api);
    return api;
  };
  afterEach(async () => {
    await Promise.all(apis.splice(0).map((api) => api.close()));
  });

  const tokens = {
    rules: {
      agentTokens: ['agent-token-1'],
      dashboardTokens: ['reader-token-1'],
      adminTokens: ['admin-token-1'],
    },
  };
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const add = (api: TestApi, node: Record<string, unknown>) =>
    api.call('POST', '/api/v1/nodes', { node: { hostname: String(node.nodeId), ...node } });

  it('[API-1] POST /nodes registers: 201 the first time, 200 again with the same id and createdAt', async () => {
    const api = await start();
    const body = {
      heartbeat: { intervalMs: 60_000 },
      node: { hostname: 'edge-7.local', labels: { zone: 'a' } },
    };
    const first = await api.call('POST', '/api/v1/nodes', body);
    expect(first.status).toBe(201);
    expect(first.body).toMatchObject({
      reregistered: false,
      heartbeat: { intervalMs: 60_000, timeoutMs: 180_000 },
      node: { status: 'online', labels: { zone: 'a' }, connection: { transport: 'http' } },
    });
    const again = await api.call('POST', '/api/v1/nodes', body);
    expect(again.status).toBe(200);
    expect(again.body).toMatchObject({
      nodeId: first.body.nodeId,
      createdAt: first.body.createdAt,
      reregistered: true,
      node: { reason: 'reconnected' },
    });
    expect(again.body.session).not.toBe(first.body.session);
  });

  it('[API-2] what a reply reports is in the list and in the single read at once', async () => {
    const api = await start();
    const { body } = await add(api, { nodeId: 'edge-1' });
    const list = await api.call('GET', '/api/v1/nodes');
    expect(list.body.nodes).toEqual([body.node]);
    const one = await api.call('GET', '/api/v1/nodes/edge-1');
    expect(one.body).toEqual({ ...body.node, stats: { lastHeartbeatAt: expect.any(String) } });
  });

  it('[API-3] a heartbeat answers when the next one is due, and its stats are read at once', async () => {
    const api = await start();
    const { body } = await add(api, { nodeId: 'edge-1' });
    const beat = await api.call('POST', '/api/v1/nodes/edge-1/heartbeat', {
      session: body.session,
      stats: { cpuPercent: 12.5 },
    });
    expect(beat.body).toMatchObject({ nodeId: 'edge-1', status: 'online', nextHeartbeatInMs: 10_000 });
    const one = await api.call('GET', '/api/v1/nodes/edge-1');
    expect(one.body.stats).toMatchObject({ cpuPercent: 12.5 });
  });

  it('[API-4] heartbeats: unknown node 404 not_registered, older session 409, socket without session 409', async () => {
    const api = await start();
    const unknown = await api.call('POST', '/api/v1/nodes/nobody/heartbeat', {});
    expect([unknown.status, unknown.body.code]).toEqual([404, 'not_registered']);
    expect(unknown.body.detail).toContain('register first');
    const { body } = await add(api, { nodeId: 'edge-1' });
    await add(api, { nodeId: 'edge-1' });
    const older = await api.call('POST', '/api/v1/nodes/edge-1/heartbeat', { session: body.session });
    expect([older.status, older.body.code]).toEqual([409, 'superseded']);
    await registerAgent(api.fleet, registerMessage({ nodeId: 'ws-1' }));
    const plain = await api.call('POST', '/api/v1/nodes/ws-1/heartbeat', {});
    expect([plain.status, plain.body.code]).toEqual([409, 'not_http']);
  });

  it('[API-5] problems name the wrong field by its path', async () => {
    const api = await start();
    const wrong = await api.call('POST', '/api/v1/nodes', {
      node: { hostname: 7, labels: { zone: 'a' } },
    });
    expect(wrong.status).toBe(400);
    expect(wrong.headers.get('content-type')).toContain('application/problem+json');
    expect(wrong.body).toMatchObject({
      type: 'about:blank',
      status: 400,
      code: 'invalid',
      path: 'node.hostname',
    });
    const typo = await api.call('GET', '/api/v1/nodes?stauts=online');
    expect(typo.body).toMatchObject({ code: 'invalid', path: 'stauts' });
    const limit = await api.call('GET', '/api/v1/nodes?limit=1001');
    expect(limit.body).toMatchObject({ code: 'invalid', path: 'limit' });
  });

  it('[STAT-10] what is wrong in a registration or a heartbeat is dropped and named, the rest counts', async () => {
    const api = await start();
    const node = {
      nodeId: 'n-1',
      hostname: 'x',
      labels: { zone: 7, rack: 'r' },
      kind: '',
      metadata: { a: 1 },
    };
    const registered = await api.call('POST', '/api/v1/nodes', { node, heartbeat: { intervalMs: 'x' } });
    expect([registered.status, registered.body.node.labels]).toEqual([201, { rack: 'r' }]);
    const named = registered.body.dropped.map(({ path }: { path: string }) => path);
    expect(named.sort()).toEqual(['heartbeat.intervalMs', 'node.kind', 'node.labels.zone']);
    const conditions = [{ type: 'disk', status: 'fail' }, { type: 'a b' }];
    const beat = await api.call('POST', '/api/v1/nodes/n-1/heartbeat', {
      session: registered.body.session,
      stats: { cpuPercent: -0.1, memoryPercent: 40, conditions },
    });
    expect([beat.status, beat.body.dropped.length]).toEqual([200, 3]);
    const seen = await api.call('GET', '/api/v1/nodes/n-1');
    expect(seen.body).toMatchObject({ status: 'degraded', stats: { memoryPercent: 40 } });
    const none = await api.call('POST', '/api/v1/nodes/n-1/heartbeat', { stats: 'rubbish' });
    expect([none.status, none.body.dropped]).toMatchObject([200, [{ code: 'invalid', path: 'stats' }]]);
    const right = await api.call('POST', '/api/v1/nodes/n-1/heartbeat', {});
    expect(right.body).not.toHaveProperty('dropped');
  });

  it.each([
    [
      'NaN',
      '{"node":{"nodeId":"n-1","hostname":"x","metadata":{"a":NaN,"b":1}}}',
      ['node.metadata.a'],
      { b: 1 },
    ],
    [
      'beyond 2^53',
      '{"node":{"nodeId":"n-1","hostname":"x","metadata":{"a":9007199254740993}}}',
      ['node.metadata.a'],
      {},
    ],
    [
      'constructor',
      '{"node":{"nodeId":"n-1","hostname":"x","metadata":{"constructor":{"prototype":1}}}}',
      undefined,
      { constructor: { prototype: 1 } },
    ],
    [
      '__proto__',
      '{"node":{"nodeId":"n-1","hostname":"x","metadata":{"__proto__":{"a":1},"b":1}}}',
      ['node.metadata.__proto__'],
      { b: 1 },
    ],
    ['a mark before it', '\ufeff{"node":{"nodeId":"n-1","hostname":"x","metadata":{}}}', undefined, {}],
  ])(
    '[STAT-12] a body with %s gets the verdict of a frame with it',
    async (_name, body, dropped, metadata) => {
      const api = await start();
      const registered = await api.call('POST', '/api/v1/nodes', body);
      expect([registered.status, registered.body.node.metadata]).toEqual([201, metadata]);
      const named = registered.body.dropped?.map(({ path }: { path: string }) => path);
      expect(named).toEqual(dropped);
    },
  );

  it('[STAT-13] a heartbeat whose body cannot be read is one all the same, and the answer says what is wrong', async () => {
    const api = await start({ timing: { intervalMs: 1_000, timeoutMs: 3_000 } });
    await api.call('POST', '/api/v1/nodes', { node: { nodeId: 'n-1', hostname: 'x' } });
    const seen = async () => (await api.call('GET', '/api/v1/nodes/n-1')).body.stats?.lastHeartbeatAt;
    for (const body of ['{', '[]', 'null', '"x"', '{"stats":{"cpuPercent":1,}}']) {
      const before = await seen();
      await new Promise((resolve) => setTimeout(resolve, 5));
      const beat = await api.call('POST', '/api/v1/nodes/n-1/heartbeat', body);
      expect([body, beat.status, beat.body.code]).toEqual([body, 400, 'bad_json']);
      expect(Date.parse(await seen())).toBeGreaterThan(Date.parse(before));
    }
    const unknown = await api.call('POST', '/api/v1/nodes/nobody/heartbeat', '{');
    expect([unknown.status, unknown.body.code]).toEqual([404, 'not_registered']);
    const nan =
      '{"stats":{"cpuPercent":NaN,"memoryPercent":40,"conditions":[{"type":"disk","status":"fail"}]}}';
    const beat = await api.call('POST', '/api/v1/nodes/n-1/heartbeat', nan);
    expect([beat.status, beat.body.dropped]).toMatchObject([200, [{ path: 'stats.cpuPercent' }]]);
    expect((await api.call('GET', '/api/v1/nodes/n-1')).body).toMatchObject({ status: 'degraded' });
    const session = await api.call('POST', '/api/v1/nodes/n-1/heartbeat', { session: null });
    expect([session.status, session.body.dropped]).toMatchObject([200, [{ path: 'session' }]]);
  });

  it.each([
    ['GET', '/api/v1/nodes/%C2%9B2J', undefined],
    ['GET', '/api/v1/nodes?label=%E2%80%AE', undefined],
    ['POST', '/api/v1/nodes', '{"node":\u009b}'],
    ['POST', '/api/v1/nodes', { node: { hostname: 'x', labels: { 'a\u009b': '1' } } }],
    ['DELETE', '/v2/nodes/a%C2%9B', undefined],
  ])('[TERM-6] what %s %s quotes holds no control character', async (method, path, body) => {
    const api = await start();
    expect((await api.call(method, path, body)).text).not.toMatch(/[\u0080-\u009f\u202e]/);
  });

  it('[API-6] bodies: bad JSON 400, other types 415, more than 64 KiB 413', async () => {
    const api = await start();
    const bad = await api.call('POST', '/api/v1/nodes', '{"node":');
    expect([bad.status, bad.body.code]).toEqual([400, 'bad_json']);
    const text = await api.call('POST', '/api/v1/nodes', '{}', { 'content-type': 'text/plain' });
    expect([text.status, text.body.code]).toEqual([415, 'unsupported_media_type']);
    const large = await api.call('POST', '/api/v1/nodes', {
      node: { hostname: 'x', metadata: { x: 'y'.repeat(66_000) } },
    });
    expect([large.status, large.body.code]).toEqual([413, 'too_large']);
    const list = await api.call('POST', '/api/v1/nodes', '[]');
    expect([list.status, list.body.code]).toEqual([400, 'bad_json']);
    const latin1 = Buffer.from('{"node":{"hostname":"b\u00fccher"}}', 'latin1');
    const bytes = await fetch(`${api.url}/api/v1/nodes`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: latin1,
    });
    expect([bytes.status, await bytes.json()]).toMatchObject([400, { code: 'bad_json' }]);
  });

  it('[API-7] nothing there is 404, another method 405 with Allow, both as problems', async () => {
    const api = await start();
    const nothing = await api.call('GET', '/api/v1/nothing');
    expect([nothing.status, nothing.body.code]).toEqual([404, 'not_found']);
    const put = await api.call('PUT', '/api/v1/nodes/x');
    expect([put.status, put.body.code]).toEqual([405, 'method_not_allowed']);
    expect(put.headers.get('allow')).toContain('DELETE');
    const wrongEscape = await api.call('GET', '/api/v1/nodes/%E0%A4%A');
    expect(wrongEscape.status).toBe(400);
  });

  it('[API-8] tokens: agents register, readers read, administrators remove and read', async () => {
    const api = await start(tokens);
    const node = { node: { hostname: 'x', nodeId: 'x' } };
    const statuses = async (method: string, path: string, body?: unknown) =>
      Promise.all(
        [
          {},
          bearer('wrong-token'),
          bearer('agent-token-1'),
          bearer('reader-token-1'),
          bearer('admin-token-1'),
        ].map(async (headers) => (await api.call(method, path, body, headers)).status),
      );
    expect(await statuses('POST', '/api/v1/nodes', node)).toEqual([401, 401, 201, 403, 403]);
    expect(await statuses('GET', '/api/v1/nodes/x')).toEqual([401, 401, 403, 200, 200]);
    expect(await statuses('GET', '/api/v1/summary')).toEqual([401, 401, 403, 200, 200]);
    expect(await statuses('DELETE', '/api/v1/nodes/x')).toEqual([401, 401, 403, 403, 200]);
  });

  it('[API-9] without tokens only localhost is answered, and no page of another origin changes anything', async () => {
    const api = await start();
    const { port } = new URL(api.url);
    const rebound = await api.face.app.inject({ url: '/api/v1/nodes', headers: { host: 'evil.example' } });
    expect(rebound.statusCode).toBe(403);
    const foreign = await api.call(
      'POST',
      '/api/v1/nodes',
      { node: { hostname: 'x' } },
      { origin: 'https://evil.example' },
    );
    expect(foreign.status).toBe(403);
    const own = await api.call(
      'POST',
      '/api/v1/nodes',
      { node: { hostname: 'x' } },
      { origin: `http://127.0.0.1:${port}` },
    );
    expect(own.status).toBe(201);
  });

  it('[API-10] DELETE removes as the operator: the socket gets 4404, the log says removed_by_operator', async () => {
    const api = await start();
    const { link } = await registerAgent(api.fleet, registerMessage({ nodeId: 'ws-1' }));
    const gone = await api.call('DELETE', '/api/v1/nodes/ws-1');
    expect([gone.status, gone.body]).toEqual([200, { nodeId: 'ws-1', removed: true }]);
    expect((await api.call('GET', '/api/v1/nodes/ws-1')).status).toBe(404);
    expect(link.ended).toMatchObject([{ code: 4404 }]);
    const [newest] = await api.fleet.history({ id: 'ws-1', limit: 1 });
    expect(newest).toMatchObject({ type: 'removed', reason: 'removed_by_operator' });
    expect((await api.call('DELETE', '/api/v1/nodes/ws-1')).status).toBe(404);
  });

  it('[API-22] DELETE with If-Match or a filter removes only what still is so, and says what it left', async () => {
    const api = await start();
    const path = '/api/v1/nodes/ws-1';
    const { session } = await registerAgent(api.fleet, registerMessage({ nodeId: 'ws-1', kind: 'a,b' }));
    const tag = (await api.call('GET', path)).headers.get('etag');
    expect(tag).toBe('"1"');
    for (const [query, headers] of [
      ['?status=offline,unreachable', {}],
      ['?kind=other', {}],
      ['', { 'if-match': '"7"' }],
      ['', { 'if-match': `W/${tag}` }],
      ['?status=offline', { 'if-match': '*' }],
    ] as const) {
      const left = await api.call('DELETE', `${path}${query}`, undefined, headers);
      expect([left.status, left.body.code]).toEqual([412, 'precondition_failed']);
      expect(left.body.detail).toMatch(/\(ws-1\) was left: it is online since .+, version 1/);
    }
    for (const [query, headers] of [
      ['?staus=offline', {}],
      ['?status=offlin', {}],
      ['', { 'if-match': 'seven' }],
    ] as const) {
      const wrong = await api.call('DELETE', `${path}${query}`, undefined, headers);
      expect([wrong.status, wrong.body.code]).toEqual([400, 'invalid']);
    }
    expect((await api.call('GET', path)).status).toBe(200);
    await api.fleet.closed(session, { goodbye: true, code: 1000 });
    expect((await api.call('DELETE', path, undefined, { 'if-match': `${tag}` })).status).toBe(412);
    const gone = await api.call('DELETE', `${path}?status=offline`, undefined, { 'if-match': '"9", "2"' });
    expect(gone.status).toBe(200);
  });

  it('[API-16] lists: each filter, their combination, and a summary of fields', async () => {
    const api = await start();
    for (let n = 0; n < 12; n += 1) {
      await add(api, {
        nodeId: `n-${n}`,
        hostname: `host-${n}.example`,
        kind: n % 2 ? 'gpu' : 'edge',
        location: `site-${n % 3}`,
        labels: { zone: n % 4 ? 'a' : 'b', rack: `r=${n % 2}` },
        pools: [`pool-${n % 5}`],
        address: `10.0.0.${n}`,
      });
    }
    const ids = async (query: string): Promise<string[]> => {
      const { body } = await api.call('GET', `/api/v1/nodes?${query}`);
      expect(body.count).toBe(body.nodes.length);
      return body.nodes
        .map(({ id }: { id: string }) => Number(id.slice(2)))
        .sort((a: number, b: number) => a - b);
    };
    expect(await ids('kind=gpu')).toEqual([1, 3, 5, 7, 9, 11]);
    expect(await ids('kind=gpu&kind=edge')).toHaveLength(12);
    expect(await ids('kind=gpu,edge&location=site-0')).toEqual([0, 3, 6, 9]);
    expect(await ids('label=zone=b')).toEqual([0, 4, 8]);
    expect(await ids('label=zone=a&label=rack=r=1')).toEqual([1, 3, 5, 7, 9, 11]);
    expect(await ids('pool=pool-4')).toEqual([4, 9]);
    expect(await ids('q=HOST-1')).toEqual([1, 10, 11]);
    expect(await ids('q=10.0.0.3')).toEqual([3]);
    expect(await ids('ids=n-1,n-2&ids=n-99')).toEqual([1, 2]);
    expect(await ids('status=online&kind=edge&q=host')).toEqual([0, 2, 4, 6, 8, 10]);
    expect(await ids('status=offline')).toEqual([]);
    const { body } = await api.call('GET', '/api/v1/nodes?fields=summary&ids=n-1');
    expect(Object.keys(body.nodes[0])).not.toContain('heartbeat');
    expect(body.nodes[0]).toMatchObject({ id: 'n-1', hubId: 'hub-a' });
  });

  it('[API-21] fields names what a row shall have; the id is always there', async () => {
    const api = await start();
    await add(api, { nodeId: 'n-1', hostname: 'h', kind: 'gpu', labels: { much: 'x'.repeat(200) } });
    const rows = async (fields: string) =>
      (await api.call('GET', `/api/v1/nodes?fields=${fields}`)).body.nodes;
    expect(await rows('hostname')).toEqual([{ id: 'n-1', hostname: 'h' }]);
    expect(await rows('status,kind,location')).toEqual([{ id: 'n-1', status: 'online', kind: 'gpu' }]);
    expect(await rows('id,hubId,lastHeartbeatAt')).toEqual([
      { id: 'n-1', hubId: 'hub-a', lastHeartbeatAt: expect.stringMatching(/Z$/) },
    ]);
    const wrong = await api.call('GET', '/api/v1/nodes?fields=hostname,lables');
    expect([wrong.status, wrong.body.path]).toEqual([400, 'fields']);
    expect(wrong.body.detail).toMatch(/"lables" is none of .*; did you mean labels\?/);
    api.store.fault = 'away';
    expect(await rows('kind,lastHeartbeatAt')).toEqual([{ id: 'n-1', kind: 'gpu' }]);
  });

  it('[API-17] each order both ways, and pages that stay right while nodes come and go', async () => {
    const api = await start();
    for (let n = 0; n < 9; n += 1)
      await add(api, { nodeId: `n-${n}`, kind: `k-${n % 3}`, location: `s-${n % 2}` });
    const { body } = await api.call('GET', '/api/v1/nodes?limit=1000');
    for (const key of ['hostname', 'status', 'statusSince', 'createdAt', 'kind', 'location']) {
      for (const sign of ['', '-']) {
        const seen: Array<Record<string, string>> = [];
        let cursor: string | null = '';
        while (cursor !== null) {
          const query = `sort=${sign}${key}&limit=2${cursor && `&cursor=${cursor}`}`;
          const page: {
            body: { nodes: Array<Record<string, string>>; total: number; nextCursor: string | null };
          } = await api.call('GET', `/api/v1/nodes?${query}`);
          expect(page.body.total).toBe(9);
          seen.push(...page.body.nodes);
          cursor = page.body.nextCursor;
        }
        const by = (node: Record<string, string>) => `${node[key] ?? ''} ${node.id}`;
        const wanted = [...body.nodes].sort((a, b) => (by(a) < by(b) ? -1 : 1));
        expect(seen).toEqual(sign ? wanted.reverse() : wanted);
      }
    }
    const first = await api.call('GET', '/api/v1/nodes?limit=3');
    await api.call('DELETE', '/api/v1/nodes/n-2');
    await api.call('DELETE', '/api/v1/nodes/n-4');
    await add(api, { nodeId: 'n-0a' });
    await add(api, { nodeId: 'n-3a' });
    const second = await api.call('GET', `/api/v1/nodes?limit=3&cursor=${first.body.nextCursor}`);
    expect(second.body.nodes.map(({ id }: { id: string }) => id)).toEqual(['n-3', 'n-3a', 'n-5']);
    const wrong = await api.call('GET', `/api/v1/nodes?sort=kind&cursor=${first.body.nextCursor}`);
    expect(wrong.body).toMatchObject({ code: 'invalid', path: 'cursor' });
  });

  it('[API-20] the summary counts by status, kind, location and any label, and names the hubs', async () => {
    const api = await start();
    await add(api, { nodeId: 'a', kind: 'gpu', location: 'x', labels: { zone: 'z1', constructor: 'c' } });
    await add(api, { nodeId: 'b', kind: 'gpu', labels: { zone: 'z2' } });
    await add(api, { nodeId: 'c' });
    await registerAgent(api.fleet, registerMessage({ nodeId: 'd' }));
    const { body } = await api.call('GET', '/api/v1/summary?by=label:zone&by=label:constructor');
    expect(body).toMatchObject({
      total: 4,
      status: { online: 4, degraded: 0, unreachable: 0, offline: 0 },
      kind: { gpu: 2 },
      location: { x: 1 },
      labels: { zone: { z1: 1, z2: 1 }, constructor: { c: 1 } },
      hubs: [{ hubId: 'hub-a' }],
      hub: { hubId: 'hub-a', state: 'live' },
    });
    expect((await api.call('GET', '/api/v1/summary?by=zone')).body).toMatchObject({
      code: 'invalid',
      path: 'by',
    });
  });

  it('[API-24] while the store is out of reach writes are 503 with Retry-After, lists still answer', async () => {
    const api = await start();
    await add(api, { nodeId: 'edge-1' });
    api.store.fault = 'away';
    const beat = await api.call('POST', '/api/v1/nodes/edge-1/heartbeat', {});
    expect([beat.status, beat.body.code]).toEqual([503, 'store_away']);
    expect(beat.headers.get('retry-after')).toBe('1');
    expect((await api.call('POST', '/api/v1/nodes', { node: { hostname: 'x' } })).status).toBe(503);
    expect((await api.call('GET', '/api/v1/nodes')).body.total).toBe(1);
    expect((await api.call('GET', '/api/v1/nodes/edge-1')).status).toBe(200);
    expect((await api.call('GET', '/api/v1/nodes/nobody')).status).toBe(503);
  });

  it('[API-26] a stopping hub answers what is in flight and refuses what is new', async () => {
    const api = await start();
    await add(api, { nodeId: 'edge-1' });
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const stats = api.store.stats;
    let arrived = false;
    api.store.stats = async (...asked) => {
      arrived = true;
      await held;
      return stats(...asked);
    };
    const inFlight = api.call('GET', '/api/v1/nodes/edge-1');
    await until('the request is in flight', () => arrived);
    const drained = api.face.drain(5_000);
    const late = await api.call('GET', '/api/v1/nodes');
    expect([late.status, late.body.code]).toEqual([503, 'stopping']);
    release();
    expect((await inFlight).status).toBe(200);
    await drained;
  });

  it('a client that sends or reads nothing more is given up; a connection without a request has no timer', async () => {
    const api = await start();
    const { server } = api.face.app;
    const came = new Promise<Socket>((resolve) => void server.once('connection', resolve));
    const client = connect(Number(new URL(api.url).port), '127.0.0.1');
    const connection = await came;
    expect(connection.timeout ?? 0).toBe(0);
    client.write(
      'POST /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{',
    );
    await until('the request has a timer', () => connection.timeout === 15_000);
    client.destroy();
    // What ends the others: who sends no whole head, or no whole request, in time.
    expect([server.headersTimeout, server.requestTimeout]).toEqual([15_000, 15_000]);
  });

  it('[API-28] GET / names what there is, /docs reads without a token, and without anything from elsewhere', async () => {
    const api = await start();
    const root = await api.call('GET', '/');
    expect(root.body).toMatchObject({ name: 'rollcall', nodes: '/api/v1/nodes', openapi: '/openapi.json' });
    const docs = await api.call('GET', '/docs/');
    expect(docs.status).toBe(200);
    expect(docs.headers.get('content-security-policy')).toContain("default-src 'self'");
    expect(docs.text).not.toMatch(/(src|href)="https?:/);
    const closed = await start(tokens);
    for (const path of ['/docs/', '/openapi.json', '/asyncapi.json']) {
      expect((await closed.call('GET', path)).status, path).toBe(200);
    }
  });
});
