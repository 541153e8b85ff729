// How long a fleet waits when its Redis fails over: `npx tsx bench/failover.ts [--quick] [--only NAME]`.
import { setTimeout as passes } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { fleetKeys } from '../server/store/redis/keys.ts';
import { shardOf } from '../server/store/shards.ts';
import { connectAll, RawAgent } from '../simulate/raw-agent.ts';
import { type HubProcess, startHubProcess } from '../test/support/hub-process.ts';
import { startCluster } from '../test/support/redis-cluster.ts';
import { startSentinelTrio } from '../test/support/redis-sentinel.ts';
import type { RedisServer } from '../test/support/redis-server.ts';
import { until } from '../test/support/until.ts';

const { values } = parseArgs({ options: { quick: { type: 'boolean' }, only: { type: 'string' } } });
const ROUNDS = values.quick ? 1 : 5;
const AGENTS = 200;
const SHARDS = 16;
const INTERVAL_MS = 1_000;
/** Longer than any failover here, so that the end of a heartbeat tells when it was written. */
const TIMEOUT_MS = 60_000;
const WITHIN_MS = 60_000;
/** The agent whose heartbeats are watched beats so often: what is measured is the hub, not its interval. */
const PROBE_MS = 50;
const LOOK_MS = 5;

/** Several servers that are one store. */
interface Topology {
  url: string;
  servers: readonly RedisServer[];
  /** Asks for a failover by hand, to a replica of that primary. */
  handOver(primary: RedisServer): Promise<unknown>;
  stop(): Promise<void>;
}

async function cluster(): Promise<Topology> {
  const { url, nodes, replicas, stop } = await startCluster(3, {
    replicasPerMaster: 1,
    nodeTimeoutMs: 2_000,
  });
  const handOver = (primary: RedisServer) =>
    replicas[nodes.indexOf(primary)]?.cli('CLUSTER', 'FAILOVER') ?? Promise.reject(new Error('no replica'));
  return { url, servers: [...nodes, ...replicas], handOver, stop };
}

async function sentinel(): Promise<Topology> {
  const { url, stores, sentinels, stop } = await startSentinelTrio({ downAfterMs: 1_000 });
  const handOver = async () => sentinels[0]?.cli('SENTINEL', 'FAILOVER', 'mymaster');
  return { url, servers: stores, handOver, stop };
}

const topologies = { cluster, sentinel };
const faults = {
  killed: (primary: RedisServer) => primary.kill(),
  frozen: async (primary: RedisServer) => primary.pause(),
  'by hand': (primary: RedisServer, topology: Topology) => topology.handOver(primary),
};

/** Milliseconds since the fault. */
interface Round {
  /** Another server is the primary and answers. */
  redis: number;
  /** A heartbeat is in it that came after the fault. */
  heartbeat: number;
  /** The hub says that it has its whole store again; `undefined` where it never said that it had not. */
  live: number | undefined;
}

const PROBE_ID = 'probe';
const shard = fleetKeys('fleet', SHARDS).shards[shardOf(PROBE_ID, SHARDS)];
const beatKey = shard?.beat(PROBE_ID) ?? '';
const nodeKey = shard?.node(PROBE_ID) ?? '';

/** When the probe's heartbeat ends, as a server has it that is a primary and serves it; else nothing. */
async function endOfBeat(server: Redis): Promise<number | undefined> {
  try {
    const [role] = await server.role();
    if (role !== 'master' || (await server.exists(nodeKey)) === 0) return undefined;
    return Date.now() + (await server.pttl(beatKey));
  } catch {
    return undefined;
  }
}

async function measure(topology: Topology, fault: keyof typeof faults): Promise<Round> {
  const { url, servers } = topology;
  const hub = await startHubProcess({
    REDIS_URL: url,
    SHARDS: String(SHARDS),
    HEARTBEAT_INTERVAL: `${INTERVAL_MS}ms`,
    HEARTBEAT_TIMEOUT: `${TIMEOUT_MS}ms`,
  });
  const agents = Array.from({ length: AGENTS }, (_, index) => new RawAgent(`load-${index}`));
  const probe = new RawAgent(PROBE_ID);
  const watchers = servers.map(
    ({ port }) => new Redis(port, '127.0.0.1', { protocol: 2, commandTimeout: 500 }),
  );
  for (const watcher of watchers) watcher.on('error', () => {});
  const timers: NodeJS.Timeout[] = [];
  try {
    await connectAll([probe, ...agents], Number(new URL(hub.url).port), true);
    timers.push(setInterval(() => probe.ping(), PROBE_MS));
    timers.push(setInterval(() => pingAll(agents), INTERVAL_MS));
    await passes(1_500);
    const ends = await Promise.all(watchers.map(endOfBeat));
    const old = ends.findIndex((end) => end !== undefined);
    const primary = servers[old];
    if (!primary) throw new Error('no server holds the probe');
    return await time(hub, watchers.toSpliced(old, 1), ends[old] ?? 0, () =>
      faults[fault](primary, topology),
    );
  } finally {
    for (const timer of timers) clearInterval(timer);
    for (const agent of [probe, ...agents]) agent.destroy();
    for (const watcher of watchers) watcher.disconnect();
    await hub.kill();
    for (const server of servers) server.resume();
  }
}

function pingAll(agents: readonly RawAgent[]): void {
  for (const [index, agent] of agents.entries())
    setTimeout(() => agent.ping(), (index / agents.length) * INTERVAL_MS);
}

async function time(
  hub: HubProcess,
  watchers: readonly Redis[],
  endBefore: number,
  fail: () => Promise<unknown>,
): Promise<Round> {
  const failing = Date.now();
  await fail();
  let redis: number | undefined;
  let heartbeat: number | undefined;
  const watch = async (watcher: Redis) => {
    while (heartbeat === undefined && Date.now() - failing < WITHIN_MS) {
      const end = await endOfBeat(watcher);
      if (end !== undefined) redis ??= Date.now() - failing;
      // Its end is reckoned from when the agent sent it, which is not long before the fault at the earliest.
      if (end !== undefined && end > endBefore + 4 * PROBE_MS) heartbeat ??= Date.now() - failing;
      await passes(LOOK_MS);
    }
  };
  await Promise.all(watchers.map(watch));
  if (redis === undefined || heartbeat === undefined) throw new Error('it did not fail over');
  const said = (message: string) =>
    hub.log.findLast(({ msg, time: at }) => msg === message && Number(at) >= failing);
  const stale = 'The store is out of reach; heartbeats wait, nobody is judged';
  const back = 'The store is within reach';
  await until(
    'the hub has its store',
    () =>
      !said(stale) ||
      hub.log.indexOf(said(back) ?? hub.log[0] ?? { msg: '' }) > hub.log.indexOf(said(stale) ?? { msg: '' }),
    WITHIN_MS,
  );
  await passes(1_000);
  const live = said(back);
  return { redis, heartbeat, live: live && Number(live.time) - failing };
}

const say = (line: string) => process.stdout.write(`${line}\n`);

function summary(numbers: ReadonlyArray<number | undefined>): string {
  const known = numbers.filter((number) => number !== undefined).toSorted((a, b) => a - b);
  const median = known[Math.floor(known.length / 2)];
  if (median === undefined) return '–';
  return known.length === 1 ? `${median}` : `${median} (${known[0]}–${known.at(-1)})`;
}

say(`${ROUNDS} rounds each, ${AGENTS} agents; milliseconds after the fault, median (range)\n`);
say(
  '| Redis | primary is | a replica serves | first heartbeat written | hub live | ours: heartbeat | ours: live |',
);
say('|---|---|---|---|---|---|---|');
for (const [kind, start] of Object.entries(topologies)) {
  for (const fault of ['killed', 'frozen', 'by hand'] as const) {
    if (values.only !== undefined && !`${kind} ${fault}`.includes(values.only)) continue;
    const rounds: Round[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const topology = await start();
      rounds.push(await measure(topology, fault).finally(() => topology.stop()));
    }
    const columns = [
      rounds.map(({ redis }) => redis),
      rounds.map(({ heartbeat }) => heartbeat),
      rounds.map(({ live }) => live),
      rounds.map(({ redis, heartbeat }) => heartbeat - redis),
      rounds.map(({ redis, live }) => live && live - redis),
    ];
    say(`| ${kind} | ${fault} | ${columns.map(summary).join(' | ')} |`);
  }
}
