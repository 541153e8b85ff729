/**
 * What the HTTP face does, measured: `tsx bench/http-bench.ts [seconds] [heartbeats|lists|streams]`. A redis-server must be installed; one is
 * started and ended here. Prints, each median of three rounds:
 *
 *  - requests per second, p99 and the server's CPU per request of heartbeats over HTTP on Redis, next to a bare Fastify that answers after one
 *    `SET … PX` of ioredis, with the same client and body;
 *  - `GET /api/v1/nodes` with two filters at 1,000, 10,000 and 100,000 nodes, in milliseconds;
 *  - from the answer of a registration to its event at 100 readers of the event stream, in milliseconds.
 *
 * Client, hub and Redis share one machine: compare the lines with one another, not with other machines.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, get, request } from 'node:http';
import { fileURLToPath } from 'node:url';
import Fastify from 'fastify';
import { Redis } from 'ioredis';
import { systemClock } from '../server/clock.ts';
import { startHub } from '../server/hub.ts';
import { silentLog } from '../server/log.ts';
import { readHubSettings } from '../server/settings.ts';
import { MemoryFleet, MemoryStore } from '../server/store/memory/memory-store.ts';
import { registration } from '../test/support/fixtures.ts';
import { startRedis } from '../test/support/redis-server.ts';

const CONNECTIONS = 64;
const NODES = 1_000;
const READERS = 100;
/** What the kernel counts CPU time in, on Linux. */
const TICKS_PER_SECOND = 100;
const ROUNDS = 3;
const body = JSON.stringify({ stats: { cpuPercent: 12.5, memoryUsedMib: 4_096 } });

type Role = 'rollcall' | 'bare';

/** In a process of its own, so that the client's work is not counted as the server's. */
async function serve(role: Role, redisUrl: string): Promise<string> {
  if (role === 'rollcall') {
    const hub = await startHub(readHubSettings({ PORT: '0', REDIS_URL: redisUrl }, String), {
      log: silentLog,
    });
    return hub.url;
  }
  const redis = new Redis(redisUrl, { protocol: 2 });
  const app = Fastify();
  app.post<{ Params: { id: string }; Body: { stats: object } }>(
    '/api/v1/nodes/:id/heartbeat',
    async (asked, reply) => {
      await redis.set(`bare:${asked.params.id}`, JSON.stringify(asked.body.stats), 'PX', 30_000);
      return reply.send({ nodeId: asked.params.id, nextHeartbeatInMs: 10_000 });
    },
  );
  return app.listen({ host: '127.0.0.1', port: 0 });
}

interface Server {
  child: ChildProcess;
  url: string;
}

async function startServer(role: Role, redisUrl: string): Promise<Server> {
  const child = fork(fileURLToPath(import.meta.url), [], {
    env: { ...process.env, BENCH_ROLE: role, BENCH_REDIS: redisUrl },
    execArgv: ['--import', 'tsx'],
  });
  const [url] = await once(child, 'message');
  return { child, url: String(url) };
}

const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });

function send(method: string, url: string, text?: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const headers =
      text === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const asked = request(url, { method, agent, headers }, (response) => {
      const parts: string[] = [];
      response.setEncoding('utf8');
      response.on('data', (part: string) => parts.push(part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: parts.join('') }));
    });
    asked.on('error', reject);
    asked.end(text);
  });
}

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
const median = (values: number[]): number =>
  quantile(
    values.sort((a, b) => a - b),
    0.5,
  );

/** CPU seconds that a process has used so far, all its threads. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

interface Load {
  perSecond: number;
  p99: number;
  cpuMicros: number;
}

async function load({ child, url }: Server, seconds: number): Promise<Load> {
  const cpuBefore = cpuSeconds(child.pid ?? 0);
  const until = performance.now() + seconds * 1_000;
  const took: number[] = [];
  let next = 0;
  const from = performance.now();
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (performance.now() < until) {
        next += 1;
        const began = performance.now();
        const { status } = await send('POST', `${url}/api/v1/nodes/node-${next % NODES}/heartbeat`, body);
        if (status !== 200) throw new Error(`a heartbeat was answered ${status}`);
        took.push(performance.now() - began);
      }
    }),
  );
  const elapsed = (performance.now() - from) / 1_000;
  return {
    perSecond: took.length / elapsed,
    cpuMicros: ((cpuSeconds(child.pid ?? 0) - cpuBefore) / took.length) * 1e6,
    p99: quantile(
      took.sort((a, b) => a - b),
      0.99,
    ),
  };
}

async function measureHeartbeats(seconds: number): Promise<void> {
  const redis = await startRedis();
  const results: Record<Role, Load[]> = { rollcall: [], bare: [] };
  const servers = {
    bare: await startServer('bare', redis.url),
    rollcall: await startServer('rollcall', redis.url),
  };
  for (let n = 0; n < NODES; n += 1) {
    const node = { node: { nodeId: `node-${n}`, hostname: `node-${n}` } };
    await send('POST', `${servers.rollcall.url}/api/v1/nodes`, JSON.stringify(node));
  }
  for (const role of ['bare', 'rollcall'] as const) await load(servers[role], 1);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const role of ['bare', 'rollcall'] as const) results[role].push(await load(servers[role], seconds));
  }
  for (const role of ['bare', 'rollcall'] as const) {
    const perSecond = median(results[role].map((one) => one.perSecond));
    const p99 = median(results[role].map((one) => one.p99));
    const cpu = median(results[role].map((one) => one.cpuMicros));
    const what = role === 'bare' ? 'bare Fastify + one SET' : 'POST …/heartbeat';
    console.log(
      `${what.padEnd(24)} ${Math.round(perSecond)} requests/s  p99 ${p99.toFixed(1)} ms  ${cpu.toFixed(1)} us CPU each  (${CONNECTIONS} connections)`,
    );
    servers[role].child.kill('SIGKILL');
  }
  await redis.stop();
}

async function measureLists(): Promise<void> {
  for (const size of [1_000, 10_000, 100_000]) {
    const store = new MemoryStore(new MemoryFleet(systemClock, 16));
    await store.open();
    for (let shard = 0; shard < store.shards; shard += 1) await store.attach(shard);
    for (let n = 0; n < size; n += 1) {
      const facts = { kind: n % 3 ? 'edge' : 'gpu', labels: { zone: `zone-${n % 10}` } };
      await store.commit(registration({ id: `node-${n}`, timeoutMs: 600_000, facts }));
    }
    const settings = readHubSettings({ PORT: '0' }, String);
    const hub = await startHub(settings, { log: silentLog, store });
    const url = `${hub.url}/api/v1/nodes?kind=gpu&label=zone=zone-3`;
    await send('GET', url);
    const took: number[] = [];
    for (let run = 0; run < 200; run += 1) {
      const from = performance.now();
      await send('GET', url);
      took.push(performance.now() - from);
    }
    took.sort((a, b) => a - b);
    const total = JSON.parse((await send('GET', url)).body).total;
    console.log(
      `GET /nodes two filters   ${size} nodes (${total} match, 100 sent)  median ${quantile(took, 0.5).toFixed(1)} ms  p99 ${quantile(took, 0.99).toFixed(1)} ms`,
    );
    await hub.stop();
  }
}

async function measureStreams(): Promise<void> {
  const redis = await startRedis();
  const { child, url } = await startServer('rollcall', redis.url);
  const heard: number[] = [];
  let sentAt = 0;
  for (let reader = 0; reader < READERS; reader += 1) {
    await new Promise<void>((resolve) => {
      get(`${url}/api/v1/events`, { headers: { accept: 'text/event-stream' } }, (response) => {
        response.setEncoding('utf8');
        response.on('data', (text: string) => {
          if (text.includes('event: ')) heard.push(performance.now() - sentAt);
        });
        response.on('error', () => {});
        resolve();
      });
    });
  }
  for (let n = 0; n < 100; n += 1) {
    const before = heard.length;
    sentAt = performance.now();
    await send('POST', `${url}/api/v1/nodes`, JSON.stringify({ node: { hostname: `sse-${n}` } }));
    while (heard.length < before + READERS) await new Promise((resolve) => setImmediate(resolve));
  }
  heard.sort((a, b) => a - b);
  console.log(
    `SSE request → ${READERS} readers median ${quantile(heard, 0.5).toFixed(1)} ms  p99 ${quantile(heard, 0.99).toFixed(1)} ms`,
  );
  child.kill('SIGKILL');
  await redis.stop();
}

const role = process.env.BENCH_ROLE;
if (role === 'rollcall' || role === 'bare') {
  process.send?.(await serve(role, process.env.BENCH_REDIS ?? ''));
} else {
  const only = process.argv[3];
  if (!only || only === 'heartbeats') await measureHeartbeats(Number(process.argv[2] ?? 5));
  if (!only || only === 'lists') await measureLists();
  if (!only || only === 'streams') await measureStreams();
  process.exit(0);
}
