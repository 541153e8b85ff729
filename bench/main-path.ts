// Measures the main path next to a bare ws server, in one run: `npm run bench [-- --quick]`. See bench/README.md.
import { setTimeout as pause } from 'node:timers/promises';
import Table from 'cli-table3';
import { io } from 'socket.io-client';
import { changesSchema, DASHBOARD_PATH } from '../shared/index.ts';
import { type Beat, connectAll, RawAgent } from '../simulate/raw-agent.ts';
import { type RedisServer, startRedis } from '../test/support/redis-server.ts';
import { cpuMicros, LoadProcess, pin, ServerProcess } from './processes.ts';

const HUB_CORE = 0;
const LOAD_CORE = 1;
const quick = process.argv.includes('--quick');
const AGENTS = quick ? 1_000 : 4_000;
const IDLE_AGENTS = quick ? 3_000 : 15_000;
const ROUNDS = quick ? 3 : 5;
const WINDOW_MS = quick ? 3_000 : 8_000;
const RESETS = quick ? 100 : 500;
const SILENCES = quick ? 100 : 400;

/** `--only memory` measures that alone. */
const only = process.argv[process.argv.indexOf('--only') + 1];
const wanted = (part: 'rates' | 'memory' | 'resets' | 'silence'): boolean =>
  !process.argv.includes('--only') || only === part;

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);
const quantile = (values: readonly number[], q: number): number =>
  sorted(values)[Math.min(values.length - 1, Math.floor(q * values.length))] ?? Number.NaN;
const median = (values: readonly number[]): number => quantile(values, 0.5);
const range = (values: readonly number[], digits = 0): string =>
  `${median(values).toFixed(digits)} (${quantile(values, 0).toFixed(digits)}–${quantile(values, 1).toFixed(digits)})`;

interface Rate {
  perSecond: number;
  serverMicros: number;
  redisMicros: number;
}

/** Answered heartbeats a second in a closed loop, and what each cost. */
async function rate(
  server: ServerProcess,
  load: LoadProcess,
  beat: Beat,
  redis?: RedisServer,
): Promise<Rate> {
  await load.ask({ do: 'start', beat });
  await pause(1_000);
  const before = {
    count: await load.ask({ do: 'count' }),
    server: cpuMicros(server.pid),
    redis: redis ? cpuMicros(redis.pid) : 0,
    at: performance.now(),
  };
  await pause(WINDOW_MS);
  const count = (await load.ask({ do: 'count' })) - before.count;
  const seconds = (performance.now() - before.at) / 1_000;
  const serverMicros = (cpuMicros(server.pid) - before.server) / count;
  const redisMicros = redis ? (cpuMicros(redis.pid) - before.redis) / count : 0;
  await load.ask({ do: 'pause' });
  await pause(300);
  return { perSecond: count / seconds, serverMicros, redisMicros };
}

type Kind = 'bare' | 'memory' | 'redis';

async function startServer(kind: Kind, redis: RedisServer, prefix: string): Promise<ServerProcess> {
  const env: Record<string, string> = kind === 'redis' ? { REDIS_URL: redis.url, KEY_PREFIX: prefix } : {};
  return ServerProcess.start(kind === 'bare' ? 'bare' : 'hub', env, HUB_CORE);
}

/** Interleaved rounds, so that whatever else the machine does falls on all alike. */
async function measureRates(redis: RedisServer): Promise<Map<string, Rate[]>> {
  const results = new Map<string, Rate[]>();
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const kind of ['bare', 'memory', 'redis'] as const) {
      const server = await startServer(kind, redis, `rate${round}`);
      const load = new LoadProcess(LOAD_CORE);
      await load.ask({
        do: 'connect',
        port: server.port,
        count: AGENTS,
        register: kind !== 'bare',
        prefix: 'bench',
      });
      for (const beat of ['ping', 'stats'] as const) {
        const measured = await rate(server, load, beat, kind === 'redis' ? redis : undefined);
        const key = `${kind} ${beat}`;
        results.set(key, [...(results.get(key) ?? []), measured]);
        say(
          `round ${round + 1}/${ROUNDS} ${key}: ${measured.perSecond.toFixed(0)}/s, ${measured.serverMicros.toFixed(2)} us`,
        );
      }
      await load.end();
      await server.end();
    }
  }
  return results;
}

/** Resident bytes for each idle agent: the slope from a third of them to all, so that the process' own start does not count. */
async function measureMemory(kind: Kind, redis: RedisServer): Promise<number> {
  const server = await startServer(kind, redis, 'idle');
  const load = new LoadProcess(LOAD_CORE);
  const third = IDLE_AGENTS / 3;
  const held: number[] = [];
  for (const [prefix, count] of [
    ['first', third],
    ['rest', 2 * third],
  ] as const) {
    await load.ask({ do: 'connect', port: server.port, count, register: kind !== 'bare', prefix });
    await pause(quick ? 3_000 : 20_000);
    held.push(await server.memory());
  }
  const perAgent = ((held[1] ?? 0) - (held[0] ?? 0)) / (2 * third);
  say(`memory ${kind}: ${(perAgent / 1_000).toFixed(2)} kB an agent`);
  await load.end();
  await server.end();
  return perAgent;
}

/** When each node's status event reached a dashboard's callback. */
async function dashboard(
  port: number,
): Promise<{ seen: Map<string, { to: string | null; at: number }>; end: () => void }> {
  const seen = new Map<string, { to: string | null; at: number }>();
  const socket = io(`http://127.0.0.1:${port}`, { path: DASHBOARD_PATH, transports: ['websocket'] });
  socket.on('changes', (changes: unknown) => {
    const at = performance.now();
    for (const { nodeId, to, type } of changesSchema.parse(changes).events)
      if (type === 'status') seen.set(nodeId, { to, at });
  });
  await new Promise((resolve) => socket.once('connect', () => resolve(undefined)));
  await socket.emitWithAck('subscribe', { fields: 'summary' });
  return { seen, end: () => socket.disconnect() };
}

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 4_000 && !holds(); tries += 1) await pause(2);
}

/** Milliseconds from the RST of one agent to the dashboard's callback. */
async function measureResets(redis: RedisServer): Promise<number[]> {
  const server = await startServer('redis', redis, 'reset');
  const { seen, end } = await dashboard(server.port);
  const agents = Array.from({ length: RESETS }, (_, index) => new RawAgent(`reset-${index}`));
  await connectAll(agents, server.port, true);
  const took: number[] = [];
  for (const [index, agent] of agents.entries()) {
    // Those that wait for their turn must not fall silent meanwhile.
    if (index % 100 === 0) for (const other of agents.slice(index)) other.ping();
    const at = performance.now();
    agent.reset();
    await until(() => seen.has(agent.nodeId));
    took.push((seen.get(agent.nodeId)?.at ?? Number.NaN) - at);
    await pause(60 + Math.random() * 60);
  }
  end();
  await server.end();
  return took;
}

/** Milliseconds past the end of each node's heartbeat until the dashboard hears `offline`. */
async function measureSilence(redis: RedisServer): Promise<number[]> {
  const timeoutMs = 3_000;
  const prefix = 'silence';
  const server = await ServerProcess.start(
    'hub',
    { REDIS_URL: redis.url, KEY_PREFIX: prefix, HEARTBEAT_INTERVAL: '1s', HEARTBEAT_TIMEOUT: '3s' },
    HUB_CORE,
  );
  const { seen, end } = await dashboard(server.port);
  const agents = Array.from({ length: SILENCES }, (_, index) => new RawAgent(`silent-${index}`));
  await connectAll(agents, server.port, true);
  // The hub must have seen its store for a timeout before it judges anybody.
  for (let passed = 0; passed < timeoutMs; passed += 500) {
    for (const agent of agents) agent.ping();
    await pause(500);
  }
  const last = new Map<string, number>();
  for (const agent of agents) {
    last.set(agent.nodeId, performance.now());
    agent.ping();
    await pause(2);
  }
  await until(() => agents.every(({ nodeId }) => seen.get(nodeId)?.to === 'offline'));
  const over = agents.map(
    ({ nodeId }) => (seen.get(nodeId)?.at ?? Number.NaN) - (last.get(nodeId) ?? 0) - timeoutMs,
  );
  for (const agent of agents) agent.destroy();
  end();
  await server.end();
  return over;
}

function rateTable(rates: Map<string, Rate[]>): string {
  const head = [`${AGENTS} agents, closed loop`, 'answered/s', 'x bare ws', 'hub us each', 'Redis us each'];
  const table = new Table({ head, style: { head: [], border: [] } });
  for (const beat of ['ping', 'stats'] as const) {
    const bare = median((rates.get(`bare ${beat}`) ?? []).map(({ perSecond }) => perSecond));
    for (const kind of ['bare', 'memory', 'redis'] as const) {
      const all = rates.get(`${kind} ${beat}`) ?? [];
      const perSecond = all.map((one) => one.perSecond);
      table.push([
        `${kind === 'bare' ? 'bare ws' : `Rollcall on ${kind}`}: ${beat === 'ping' ? 'ping' : 'stats + ping'}`,
        range(perSecond),
        (median(perSecond) / bare).toFixed(2),
        range(
          all.map(({ serverMicros }) => serverMicros),
          2,
        ),
        kind === 'redis'
          ? range(
              all.map(({ redisMicros }) => redisMicros),
              2,
            )
          : '-',
      ]);
    }
  }
  return table.toString();
}

const milliseconds = (values: readonly number[]): string =>
  `p50 ${median(values).toFixed(1)} ms, p99 ${quantile(values, 0.99).toFixed(1)} ms (${quantile(values, 0).toFixed(1)}–${quantile(values, 1).toFixed(1)})`;

async function measureAll(redis: RedisServer): Promise<void> {
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  if (wanted('rates')) print(rateTable(await measureRates(redis)));
  if (wanted('memory')) {
    const held: string[] = [];
    for (const kind of ['bare', 'memory', 'redis'] as const) {
      held.push(`${kind} ${((await measureMemory(kind, redis)) / 1_000).toFixed(1)} kB`);
    }
    print(`memory per idle agent up to ${IDLE_AGENTS}: ${held.join(', ')}`);
  }
  if (wanted('resets'))
    print(`RST to the dashboard's callback, ${RESETS} times: ${milliseconds(await measureResets(redis))}`);
  if (wanted('silence')) {
    print(
      `from a heartbeat's end until offline is seen, ${SILENCES} nodes: ${milliseconds(await measureSilence(redis))}`,
    );
  }
}

const redis = await startRedis();
const pinned = pin(redis.pid, LOAD_CORE) && pin(process.pid, LOAD_CORE);
if (!pinned)
  say('taskset is missing: nothing is pinned to a core, so rates of different servers disturb each other');
try {
  await measureAll(redis);
} finally {
  await redis.stop();
}
