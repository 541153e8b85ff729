import { setTimeout as pause } from 'node:timers/promises';
import { measureWindow, type Window } from '../harness/measure.ts';
import { cpuMicros } from '../harness/processes.ts';
import { figure, ranged } from '../harness/report.ts';
import { judge } from '../harness/results.ts';
import type { Bench, Findings, Row } from '../harness/row.ts';
import type { BenchRedis, Load, Stage } from '../harness/stage.ts';
import { median } from '../harness/statistics.ts';
import { PEERS, type PeerServer } from '../peers/catalogue.ts';

const SIZES = {
  full: { agents: 4_000, perSecond: 10_000, rounds: 5, windowMs: 2_500 },
  quick: { agents: 1_000, perSecond: 5_000, rounds: 2, windowMs: 1_500 },
  tiny: { agents: 80, perSecond: 500, rounds: 1, windowMs: 300 },
};
const COUNTS = [1, 2, 4];
/** What counts as flat: with four hubs at most so much of what it is with one. */
const FLAT = 1.25;

interface Group {
  hubs: number;
  servers: PeerServer[];
  loads: Load[];
  redis: BenchRedis;
  windows: Window[];
  restMicros: { hubs: number; redis: number };
}

async function prepare(stage: Stage, hubs: number, agents: number): Promise<Group> {
  const redis = await stage.redis();
  const servers: PeerServer[] = [];
  const loads: Load[] = [];
  for (let index = 0; index < hubs; index += 1) {
    const server = await stage.server(PEERS.redis, { redisUrl: redis.url });
    const load = await stage.load();
    const count = Math.floor(agents / hubs);
    await load.connect({ dialect: 'rollcall', ports: [server.port], count, prefix: `node-${index}` });
    servers.push(server);
    loads.push(load);
  }
  return { hubs, servers, loads, redis, windows: [], restMicros: { hubs: 0, redis: 0 } };
}

/** CPU a second that hubs and Redis use while all agents are silent, in microseconds. */
async function rest({ servers, redis }: Group): Promise<Group['restMicros']> {
  const ofHubs = (): number => servers.reduce((sum, { pid }) => sum + cpuMicros(pid), 0);
  const before = { hubs: ofHubs(), redis: redis.cpuMicros(), at: performance.now() };
  await pause(2_000);
  const seconds = (performance.now() - before.at) / 1_000;
  return { hubs: (ofHubs() - before.hubs) / seconds, redis: (redis.cpuMicros() - before.redis) / seconds };
}

async function measure(
  { loads, servers, redis }: Group,
  perSecond: number,
  windowMs: number,
): Promise<Window> {
  const each = perSecond / loads.length;
  await Promise.all(loads.map((load) => load.tell({ do: 'pace', beat: 'ping', perSecond: each })));
  await pause(500);
  const window = await measureWindow({ loads, servers, redis }, windowMs);
  await Promise.all(loads.map((load) => load.tell({ do: 'rest' })));
  return window;
}

async function run({ scale, stage, say }: Bench): Promise<Findings> {
  const { agents, perSecond, rounds, windowMs } = SIZES[scale];
  const groups: Group[] = [];
  for (const count of COUNTS) {
    groups.push(await prepare(stage, count, agents));
    say(`${count} hubs with ${agents} agents`);
  }
  await pause(1_000);
  for (const group of groups) group.restMicros = await rest(group);
  for (let round = 0; round < rounds; round += 1) {
    for (const group of groups) group.windows.push(await measure(group, perSecond, windowMs));
    say(`round ${round + 1}/${rounds}`);
  }
  const hubCosts = ({ windows }: Group): number[] => windows.map(({ hubMicros }) => hubMicros);
  const redisCosts = ({ windows }: Group): number[] => windows.map(({ redisMicros }) => redisMicros);
  const [one, , four] = groups;
  const ratio = (costs: (group: Group) => number[]): number =>
    one && four ? median(costs(four)) / median(costs(one)) : Number.NaN;
  const rate = (group: Group): number => median(group.windows.map((window) => window.perSecond));
  return {
    tables: [
      {
        head: [
          'hubs on one Redis',
          'answered/s',
          'Redis us a heartbeat',
          'hubs us a heartbeat',
          'Redis at rest, us a second',
          'hubs at rest, us a second',
          'Redis us less rest',
          'hubs us less rest',
        ],
        rows: groups.map((group) => [
          String(group.hubs),
          figure(rate(group)),
          ranged(redisCosts(group), 2),
          ranged(hubCosts(group), 1),
          figure(group.restMicros.redis),
          figure(group.restMicros.hubs),
          figure(median(redisCosts(group)) - group.restMicros.redis / rate(group), 2),
          figure(median(hubCosts(group)) - group.restMicros.hubs / rate(group), 1),
        ]),
      },
    ],
    aims: [
      judge(`Redis CPU a heartbeat with 4 hubs, x with 1, at most ${FLAT}`, ratio(redisCosts), {
        atMost: FLAT,
      }),
      judge(`CPU of all hubs a heartbeat with 4 hubs, x with 1, at most ${FLAT}`, ratio(hubCosts), {
        atMost: FLAT,
      }),
    ],
    notes: [
      'The same agents and the same rate in all, spread over 1, 2 and 4 hubs. What a hub costs at rest (looks at the shards, heartbeats written every 100 ms, its lease) is there once for each hub, whatever the number of agents: with more heartbeats it is less of each.',
      'Peers are not here: the plain hubs share nothing but Redis, whose work for a heartbeat is one SET whatever their number.',
    ],
    numbers: Object.fromEntries(
      groups.flatMap((group) => [
        [`${group.hubs} hubs, redis us`, redisCosts(group)],
        [`${group.hubs} hubs, hub us`, hubCosts(group)],
      ]),
    ),
  };
}

export const hubs: Row = {
  name: 'hubs',
  title: 'Many hubs',
  how: `${figure(SIZES.full.agents)} agents that beat ${figure(SIZES.full.perSecond)} times a second in all, on 1, 2 and 4 hubs with one Redis each group, the groups taking turns in five rounds. All hubs share one core.`,
  seconds: { full: 75, quick: 30, tiny: 30 },
  run,
};
