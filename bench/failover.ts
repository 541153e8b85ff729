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
/** Longer than any failover here, so that the end of a heartbeat tells when it was sent. */
const TIMEOUT_MS = 60_000;
const WITHIN_MS = 60_000;
/** The agent whose heartbeats are watched beats so often: what is measured is the hub, not its interval. */
const PROBE_MS = 50;
const LOOK_MS = 5;

/** Several servers that are one store. */
interface Topology {
  url: string;
  servers: readonly RedisServer[];
  /** Those who tell where the primary is now, where it is not Redis itself. */
  sentinels: readonly RedisServer[];
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
  return { url, servers: [...nodes, ...replicas], sentinels: [], handOver, stop };
}

async function sentinel(): Promise<Topology> {
  const { url, stores, sentinels, stop } = await startSentinelTrio({ downAfterMs: 1_000 });
  const handOver = async () => sentinels[0]?.cli('SENTINEL', 'FAILOVER', 'mymaster');
  return { url, servers: stores, sentinels, handOver, stop };
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
  /** A Sentinel says so, or with a Cluster, which is its own teller, the same. */
  told: number;
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
  const tellers = topology.sentinels.map(({ port }) => new Redis(port, '127.0.0.1', { protocol: 2 }));
  let toldAt: number | undefined;
  for (const teller of tellers) {
    teller.on('message', () => {
      toldAt ??= Date.now();
    });
  }
  try {
    await Promise.all(tellers.map((teller) => teller.subscribe('+promoted-slave', '+switch-master')));
    await connectAll([probe, ...agents], Number(new URL(hub.url).port));
    timers.push(setInterval(() => probe.ping(), PROBE_MS));
    timers.push(setInterval(() => pingAll(agents), INTERVAL_MS));
    await passes(1_500);
    const ends = await Promise.all(watchers.map(endOfBeat));
    const old = ends.findIndex((end) => end !== undefined);
    const primary = servers[old];
    if (!primary) throw new Error('no server holds the probe');
    const others = watchers.toSpliced(old, 1);
    const fail = () => faults[fault](primary, topology);
    return await time({ hub, others, fail, toldAt: () => toldAt });
  } finally {
    for (const timer of timers) clearInterval(timer);
    for (const agent of [probe, ...agents]) agent.destroy();
    for (const client of [...watchers, ...tellers]) client.disconnect();
    await hub.kill();
    for (const server of servers) server.resume();
  }
}

function pingAll(agents: readonly RawAgent[]): void {
  for (const [index, agent] of agents.entries())
    setTimeout(() => agent.ping(), (index / agents.length) * INTERVAL_MS);
}

async function time(parts: {
  hub: HubProcess;
  others: readonly Redis[];
  fail: () => Promise<unknown>;
  toldAt: () => number | undefined;
}): Promise<Round> {
  const { hub, others, fail, toldAt } = parts;
  const failing = Date.now();
  const since = (at: number) => at - failing;
  await fail();
  let redis: number | undefined;
  let heartbeat: number | undefined;
  const watch = async (watcher: Redis) => {
    while (heartbeat === undefined && since(Date.now()) < WITHIN_MS) {
      const end = await endOfBeat(watcher);
      if (end !== undefined) redis ??= since(Date.now());
      // It ends a timeout after its agent sent it.
      if (end !== undefined && end > failing + TIMEOUT_MS) heartbeat ??= since(Date.now());
      await passes(LOOK_MS);
    }
  };
  await Promise.all(others.map(watch));
  if (redis === undefined || heartbeat === undefined) throw new Error('it did not fail over');
  const said = (what: string) =>
    hub.log.findLastIndex(({ msg, time: at }) => msg === what && Number(at) >= failing);
  // A hub that was handed over may notice late, or never have to.
  await passes(2_000);
  const back = 'The store is within reach';
  await until(
    'the hub has its store',
    () => said(back) >= said('The store is out of reach: heartbeats wait, and no node is expired'),
    WITHIN_MS,
  );
  const live = hub.log[said(back)];
  return {
    redis,
    told: since(toldAt() ?? failing + redis),
    heartbeat,
    live: live && since(Number(live.time)),
  };
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
  '| Redis | its primary is | a replica serves | Sentinels say so | a heartbeat is written | the hub is live | of it ours |',
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
      rounds.map(({ told }) => (kind === 'sentinel' ? told : undefined)),
      rounds.map(({ heartbeat }) => heartbeat),
      rounds.map(({ live }) => live),
      rounds.map(({ told, live }) => live && live - told),
    ];
    say(`| ${kind} | ${fault} | ${columns.map(summary).join(' | ')} |`);
  }
}
