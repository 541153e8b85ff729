import { setTimeout as pause } from 'node:timers/promises';
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
import { median } from '../harness/statistics.ts';
import type { AgentDialectName } from '../load/agent-dialects.ts';
import type { PeerName } from '../peers/catalogue.ts';

const SIZES = {
  full: { counts: [1_000, 10_000, 50_000], rounds: 3 },
  quick: { counts: [1_000, 3_000], rounds: 2 },
  tiny: { counts: [20, 50], rounds: 1 },
};
/** Agents that register and go again at a time; a node stays, its connection does not. */
const BATCH = 5_000;
const NAMES: PeerName[] = ['redis', 'plain-ws', 'plain-socket-io', 'mosquitto', 'aedes'];

interface Pictures {
  /** By the number of nodes: milliseconds of each round, and bytes. */
  of: Map<number, { ms: number[]; bytes: number; nodes: number }>;
}

async function fill(
  load: Load,
  dialect: AgentDialectName,
  port: number,
  from: number,
  to: number,
): Promise<void> {
  for (let at = from; at < to; at += BATCH) {
    const count = Math.min(BATCH, to - at);
    await load.connect({ dialect, ports: [port], count, prefix: `node-${at}` });
    await load.tell({ do: 'drop' });
    await pause(200);
  }
}

async function measure(
  stage: Stage,
  name: PeerName,
  { counts, rounds }: (typeof SIZES)['full'],
  say: (line: string) => void,
): Promise<Pictures> {
  const { peer, server, load: agents } = await stage.pair(name);
  if (!peer.dashboard) throw new Error('nobody can watch it');
  const viewer = await stage.load();
  const pictures: Pictures = { of: new Map() };
  // Over HTTP, a node of Rollcall is online without a connection.
  const dialect = name === 'redis' ? 'http' : peer.dialect;
  let filled = 0;
  for (const count of counts) {
    await fill(agents, dialect, server.port, filled, count);
    filled = count;
    say(`${peer.title}: ${figure(count)} nodes`);
    await pause(1_500);
    const ms: number[] = [];
    let bytes = 0;
    let nodes = 0;
    for (let round = 0; round < rounds; round += 1) {
      const picture = await viewer.picture({ dialect: peer.dashboard, port: server.port, nodes: count });
      ms.push(picture.ms);
      ({ bytes, nodes } = picture);
      await pause(200);
    }
    pictures.of.set(count, { ms, bytes, nodes });
  }
  return pictures;
}

async function run({ scale, part, say }: Bench): Promise<Findings> {
  const sizes = SIZES[scale];
  const peers = new Map<PeerName, Outcome<Pictures>>();
  const names = peersFor(scale, NAMES, ['redis', 'plain-ws', 'mosquitto']);
  for (const name of names) {
    peers.set(name, await attempt(() => part((stage) => measure(stage, name, sizes, say))));
  }
  const most = sizes.counts.at(-1) ?? 0;
  const head = [
    'the whole picture, ms',
    ...sizes.counts.map((count) => `${figure(count)} nodes`),
    `MB for ${figure(most)}`,
    'nodes that came',
  ];
  const redis = peers.get('redis');
  const atMost = redis && 'ok' in redis ? median(redis.ok.of.get(most)?.ms ?? []) : Number.NaN;
  return {
    tables: [
      {
        head,
        rows: peerLines(peers, head.length, (found) => {
          const largest = found.of.get(most);
          return [
            ...sizes.counts.map((count) => ranged(found.of.get(count)?.ms ?? [])),
            figure((largest?.bytes ?? Number.NaN) / 1e6, 2),
            figure(largest?.nodes ?? Number.NaN),
          ];
        }),
      },
    ],
    aims: [
      judge(
        `Rollcall on Redis: ${figure(most)} nodes on one dashboard's screen, at most 1 s`,
        atMost / 1_000,
        { atMost: 1 },
        ' s',
      ),
    ],
    notes: [
      ...leftOut(NAMES, names),
      'Rollcall is asked for summaries, gzipped, in pages. The plain hubs read the hash of all nodes from Redis and send it in one message; the brokers send each retained message. Nothing of the peers is paged, so nothing else is served meanwhile.',
    ],
    numbers: Object.fromEntries(
      [...peers].flatMap(([name, outcome]) =>
        'ok' in outcome
          ? [...outcome.ok.of].map(([count, { ms }]) => [`${name} ${count} nodes, ms`, ms] as const)
          : [],
      ),
    ),
  };
}

export const picture: Row = {
  name: 'picture',
  title: 'First picture',
  how: 'A dashboard comes and asks for the whole fleet: from its connection until the last node is received, unpacked and parsed.',
  seconds: { full: 190, quick: 30, tiny: 35 },
  run,
};
