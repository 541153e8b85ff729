/**
 * What readers of the HTTP face wait for, measured: `npx tsx bench/http-bench.ts [lists|streams]`. A redis-server
 * must be installed; one is started and ended here. Prints
 *
 *  - `GET /api/v1/nodes` with two filters at 1,000, 10,000 and 100,000 nodes, in milliseconds;
 *  - from the request of a registration to its event at 100 readers of the event stream, in milliseconds.
 *
 * Heartbeats over HTTP are the row `http` of `npm run bench`. Client, hub and Redis share one machine: compare the
 * lines with one another, not with other machines.
 */
import { Agent, get, request } from 'node:http';
import { z } from 'zod';
import { startHub } from '../server/hub.ts';
import { systemClock } from '../server/runtime/clock.ts';
import { silentLog } from '../server/runtime/log.ts';
import { readHubSettings } from '../server/settings.ts';
import { MemoryFleet, MemoryStore } from '../server/store/memory/memory-store.ts';
import { registration } from '../test/support/fixtures.ts';
import { startRedis } from '../test/support/redis-server.ts';
import { Child } from './harness/child.ts';
import { SERVER_CORE } from './harness/processes.ts';
import { quantile } from './harness/statistics.ts';

const READERS = 100;
const PARTS = ['lists', 'streams'] as const;
const portSchema = z.object({ port: z.number() });

const agent = new Agent({ keepAlive: true });

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
    const total = JSON.parse((await send('GET', url)).body).total;
    console.log(
      `GET /nodes two filters   ${size} nodes (${total} match, 100 sent)  median ${quantile(took, 0.5).toFixed(1)} ms  p99 ${quantile(took, 0.99).toFixed(1)} ms`,
    );
    await hub.stop();
  }
}

async function measureStreams(): Promise<void> {
  const redis = await startRedis();
  // In a process of its own, so that the readers' work is not done between its own.
  const { child, ready } = await Child.start(new URL('./peers/rollcall.ts', import.meta.url), {
    name: 'Rollcall',
    core: SERVER_CORE,
    env: { REDIS_URL: redis.url },
  });
  const url = `http://127.0.0.1:${portSchema.parse(ready).port}`;
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
  console.log(
    `SSE request → ${READERS} readers median ${quantile(heard, 0.5).toFixed(1)} ms  p99 ${quantile(heard, 0.99).toFixed(1)} ms`,
  );
  await child.kill();
  await redis.stop();
}

const only = process.argv[2];
if (only !== undefined && !PARTS.some((part) => part === only)) {
  console.error(`there is no part "${only}": ${PARTS.join(', ')}`);
  process.exit(2);
}
if (only !== 'streams') await measureLists();
if (only !== 'lists') await measureStreams();
process.exit(0);
