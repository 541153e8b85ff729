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
  full: { counts: [1, 2, 4], agents: 4_000, perSecond: 10_000, rounds: 5, windowMs: 2_000 },
  quick: { counts: [1, 4], agents: 1_000, perSecond: 5_000, rounds: 2, windowMs: 1_000 },
  tiny: { counts: [1, 4], agents: 80, perSecond: 500, rounds: 1, windowMs: 300 },
};
/** The most processes of each kind. */
const MOST = 4;
/** What counts as flat: with four hubs at most so much of what it is with one. */
const FLAT = 1.25;

/** The hub, and bare ws in as many processes: what several of them cost one core whatever they do. */
const NAMES = ['bare', 'redis'] as const;

interface Group {
  name: (typeof NAMES)[number];
  hubs: number;
  servers: PeerServer[];
  loads: Load[];
  redis?: BenchRedis | undefined;
  windows: Window[];
  /** CPU a second while all agents are silent. */
  restMicros: { hubs: number; redis: number };
}

async function prepare(stage: Stage, name: Group['name'], hubs: number, agents: number): Promise<Group> {
  const group = await stage.group(name, hubs, agents);
  return { name, hubs, ...group, windows: [], restMicros: { hubs: 0, redis: 0 } };
}

async function rest({ servers, redis }: Group): Promise<Group['restMicros']> {
  const ofHubs = (): number => servers.reduce((sum, { pid }) => sum + cpuMicros(pid), 0);
  const ofRedis = (): number => redis?.cpuMicros() ?? 0;
  const before = { hubs: ofHubs(), redis: ofRedis(), at: performance.now() };
  await pause(2_000);
  const seconds = (performance.now() - before.at) / 1_000;
  return { hubs: (ofHubs() - before.hubs) / seconds, redis: (ofRedis() - before.redis) / seconds };
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

const hubCosts = ({ windows }: Group): number[] => windows.map(({ hubMicros }) => hubMicros);
const redisCosts = ({ windows }: Group): number[] => windows.map(({ redisMicros }) => redisMicros);

/** What a heartbeat costs with the most processes, x with one. */
function growth(groups: readonly Group[], name: Group['name'], costs: (group: Group) => number[]): number {
  const cost = (hubs: number): number => {
    const group = groups.find((one) => one.name === name && one.hubs === hubs);
    return group ? median(costs(group)) : Number.NaN;
  };
  return cost(MOST) / cost(1);
}

function line(group: Group): string[] {
  const { name, hubs, redis, restMicros } = group;
  const rate = median(group.windows.map((window) => window.perSecond));
  const ofRedis = (cell: () => string): string => (redis ? cell() : '–');
  return [
    PEERS[name].title,
    String(hubs),
    figure(rate),
    ofRedis(() => ranged(redisCosts(group), 2)),
    ranged(hubCosts(group), 1),
    ofRedis(() => figure(restMicros.redis)),
    figure(restMicros.hubs),
    ofRedis(() => figure(median(redisCosts(group)) - restMicros.redis / rate, 2)),
    figure(median(hubCosts(group)) - restMicros.hubs / rate, 1),
  ];
}

async function run({ scale, stage, rounds: roundsOf, say }: Bench): Promise<Findings> {
  const { counts, agents, perSecond, rounds, windowMs } = SIZES[scale];
  const groups: Group[] = [];
  for (const count of counts) {
    for (const name of NAMES) groups.push(await prepare(stage, name, count, agents));
    say(`${count} hubs with ${agents} agents`);
  }
  await pause(1_000);
  for (const group of groups) group.restMicros = await rest(group);
  for (const round of roundsOf(rounds)) {
    for (const group of groups) group.windows.push(await measure(group, perSecond, windowMs));
    say(`round ${round + 1}/${rounds}`);
  }
  const ofHubs = growth(groups, 'redis', hubCosts);
  return {
    tables: [
      {
        head: [
          'peer',
          'processes',
          'answered/s',
          'Redis us a heartbeat',
          'hubs us a heartbeat',
          'Redis at rest, us a second',
          'hubs at rest, us a second',
          'Redis us less rest',
          'hubs us less rest',
        ],
        rows: groups.map(line),
      },
    ],
    aims: [
      judge(
        `Redis CPU a heartbeat with ${MOST} hubs, x with 1, at most ${FLAT}`,
        growth(groups, 'redis', redisCosts),
        { atMost: FLAT },
      ),
      judge(`CPU of all hubs a heartbeat with ${MOST} hubs, x with 1, at most ${FLAT}`, ofHubs, {
        atMost: FLAT,
      }),
      judge(
        `the same, x what bare ws grows by in ${MOST} processes, at most ${FLAT}`,
        ofHubs / growth(groups, 'bare', hubCosts),
        { atMost: FLAT },
      ),
    ],
    notes: [
      'The same agents and the same rate in all, spread over 1, 2 and 4 hubs, which share one core: four processes that take turns on one core cost more than one, whatever they do, and the lines of bare ws say how much. What a hub costs at rest (looks at the shards, heartbeats of some shards written ten times a second, its lease) is there once for each hub, whatever the number of agents: with more heartbeats it is less of each.',
      'The plain hubs are not here: they share nothing but Redis, whose work for a heartbeat is one SET whatever their number.',
    ],
    numbers: Object.fromEntries(
      groups.flatMap((group) => [
        [`${group.name} ${group.hubs}, redis us`, redisCosts(group)],
        [`${group.name} ${group.hubs}, hub us`, hubCosts(group)],
      ]),
    ),
  };
}

export const hubs: Row = {
  name: 'hubs',
  title: 'Many hubs',
  how: `${figure(SIZES.full.agents)} agents that beat ${figure(SIZES.full.perSecond)} times a second in all, on 1, 2 and 4 hubs with one Redis each group, next to as many processes of bare ws, the groups taking turns in five rounds. All hubs share one core.`,
  seconds: { full: 120, quick: 45, tiny: 30 },
  run,
};
