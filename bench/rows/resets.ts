import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { until } from '../harness/processes.ts';
import { figure, ranged } from '../harness/report.ts';
import { judge } from '../harness/results.ts';
import {
  attempt,
  type Bench,
  type Findings,
  leftOut,
  type Outcome,
  peerLines,
  peersFor,
  type Row,
} from '../harness/row.ts';
import type { Load, Stage } from '../harness/stage.ts';
import { median, quantile } from '../harness/statistics.ts';
import { PEERS, type PeerName, type PeerServer } from '../peers/catalogue.ts';

const SIZES = {
  full: { ones: 120, some: 100, someRounds: 5, many: 10_000, manyRounds: 3 },
  quick: { ones: 15, some: 100, someRounds: 2, many: 2_000, manyRounds: 1 },
  tiny: { ones: 5, some: 10, someRounds: 1, many: 50, manyRounds: 1 },
};

const NAMES: PeerName[] = ['bare', 'memory', 'redis', 'plain-ws', 'plain-socket-io', 'mosquitto', 'aedes'];
/** These get all rounds of many, the others one. */
const MAIN: PeerName[] = ['bare', 'redis'];
const FEW: PeerName[] = [...MAIN, 'plain-ws', 'mosquitto'];
const GIVE_UP_MS = 30_000;

/** How long after the first RST the last of them was known, for one, some and many at once. */
interface Times {
  ones: number[];
  some: number[];
  many: number[];
}

interface Watched {
  agents: Load;
  /** Milliseconds of `sharedNow` at which each of the lost was known; of bare ws only the last. */
  heard(lost: number): Promise<number[]>;
}

const closesSchema = z.object({ closed: z.number(), lastCloseAt: z.number() });

/** Bare ws tells nobody: its own last close is the earliest moment at which anybody could know. */
function byItsOwnCloses(server: PeerServer): Watched['heard'] {
  let before = 0;
  return async (lost) => {
    let closes = { closed: 0, lastCloseAt: 0 };
    await until('bare ws closes all', GIVE_UP_MS, async () => {
      closes = await server.ask('closes', closesSchema);
      return closes.closed - before >= lost;
    });
    before = closes.closed;
    return [closes.lastCloseAt];
  };
}

function byDashboard(dashboard: Load, title: string): Watched['heard'] {
  const gone = new Set(['unreachable', 'offline']);
  return async (lost) => {
    const firsts = new Map<string, number>();
    let looked = 0;
    await until(`${title} tells of all`, GIVE_UP_MS, async () => {
      // Of a node that is given up twice (unreachable, then offline) the first counts.
      // The list is long, and reading it takes time from the dashboard: only once all may be in it.
      if ((await dashboard.number({ do: 'seen-count' })) < Math.max(lost, looked + 1)) return false;
      const seen = await dashboard.seen();
      looked = seen.length;
      firsts.clear();
      for (const [id, status, at] of seen) if (gone.has(status) && !firsts.has(id)) firsts.set(id, at);
      return firsts.size >= lost;
    });
    return [...firsts.values()];
  };
}

async function watch(stage: Stage, name: PeerName, agents: number): Promise<Watched> {
  const { peer, server, load } = await stage.pair(name);
  await load.connect({ dialect: peer.dialect, ports: [server.port], count: agents, prefix: 'node' });
  if (!peer.dashboard) return { agents: load, heard: byItsOwnCloses(server) };
  const dashboard = await stage.load();
  await dashboard.dashboards({ dialect: peer.dashboard, port: server.port, count: 1, watch: 'names' });
  const heard = byDashboard(dashboard, peer.title);
  return {
    agents: load,
    heard: async (lost) => {
      const times = await heard(lost);
      await dashboard.seen(true);
      return times;
    },
  };
}

/** Bare ws has no dashboard: its own closes are what it knows. */
const titleOf = (name: PeerName): string =>
  name === 'bare' ? 'bare ws: its own last close' : PEERS[name].title;

async function measure(
  part: Bench['part'],
  name: PeerName,
  { ones, some, someRounds, many, manyRounds }: (typeof SIZES)['full'],
): Promise<Times> {
  const times: Times = { ones: [], some: [], many: [] };
  await part(async (stage) => {
    const { agents, heard } = await watch(stage, name, ones + some * someRounds);
    for (let index = 0; index < ones; index += 1) {
      const at = await agents.number({ do: 'reset', from: index, count: 1 });
      times.ones.push(Math.max(...(await heard(1))) - at);
      await pause(20 + Math.random() * 60);
    }
    for (let round = 0; round < someRounds; round += 1) {
      const at = await agents.number({ do: 'reset', from: ones + round * some, count: some });
      times.some.push(Math.max(...(await heard(some))) - at);
      await pause(200);
    }
  });
  for (let round = 0; round < (MAIN.includes(name) ? manyRounds : 1); round += 1) {
    await part(async (stage) => {
      const { agents, heard } = await watch(stage, name, many);
      await pause(500);
      const at = await agents.number({ do: 'reset', from: 0, count: many });
      times.many.push(Math.max(...(await heard(many))) - at);
    });
  }
  return times;
}

async function run({ scale, part, say }: Bench): Promise<Findings> {
  const sizes = SIZES[scale];
  const peers = new Map<PeerName, Outcome<Times>>();
  const names = peersFor(scale, NAMES, FEW);
  for (const name of names) {
    say(PEERS[name].title);
    peers.set(name, await attempt(() => measure(part, name, sizes)));
  }
  const of = (name: PeerName): Times => {
    const outcome = peers.get(name);
    return outcome && 'ok' in outcome ? outcome.ok : { ones: [], some: [], many: [] };
  };
  const floor = median(of('bare').many);
  const many = figure(sizes.many);
  const head = [
    'RST to the dashboard, ms',
    '1: median',
    '1: p99',
    `${sizes.some} at once: the last`,
    `${many} at once: the last`,
    'x bare ws',
  ];
  return {
    tables: [
      {
        head,
        rows: peerLines(
          peers,
          head.length,
          ({ ones, some, many: all }) => {
            return [
              figure(median(ones), 1),
              figure(quantile(ones, 0.99), 1),
              ranged(some),
              ranged(all),
              figure(median(all) / floor, 1),
            ];
          },
          titleOf,
        ),
      },
    ],
    aims: [
      judge(
        'Rollcall on Redis: RST of one agent to the dashboard, p99 at most 20 ms',
        quantile(of('redis').ones, 0.99),
        { atMost: 20 },
        ' ms',
        1,
      ),
      judge(
        `Rollcall on Redis: the last of ${many} at once, x the last close of bare ws, at most 3`,
        median(of('redis').many) / floor,
        { atMost: 3 },
      ),
    ],
    notes: [
      ...leftOut(NAMES, names),
      "From the moment before the first RST to the last notice at a dashboard; making the RSTs is in it, for all alike. Each peer's dashboard is a raw socket that parses what it is told.",
      'What the dashboard hears: of Rollcall the whole record with reason and evidence; of the plain hubs an id and a status; of the brokers the last will.',
    ],
    numbers: Object.fromEntries(
      [...peers.keys()].flatMap((name) =>
        Object.entries(of(name)).map(([what, values]) => [`${name} ${what} ms`, values]),
      ),
    ),
  };
}

export const resets: Row = {
  name: 'resets',
  title: 'Detection: lost sockets',
  how: 'Agents vanish with an RST, as machines do whose kernel is left to say it: one after the other, 100 at once, 10,000 at once.',
  seconds: { full: 180, quick: 35, tiny: 30 },
  run,
};
