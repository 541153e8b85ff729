import { setTimeout as pause } from 'node:timers/promises';
import { figure } from '../harness/report.ts';
import { judge } from '../harness/results.ts';
import {
  attempt,
  type Bench,
  type Findings,
  failedLine,
  leftOut,
  type Outcome,
  peersFor,
  type Row,
} from '../harness/row.ts';
import type { Memory } from '../harness/serve.ts';
import type { Load } from '../harness/stage.ts';
import { slope } from '../harness/statistics.ts';
import { PEERS, type PeerName, type PeerServer } from '../peers/catalogue.ts';

const SIZES = {
  full: { warm: 3_000, counts: [5_000, 10_000, 19_000], idleMs: 20_000 },
  quick: { warm: 1_000, counts: [1_000, 2_000, 4_000], idleMs: 2_000 },
  tiny: { warm: 50, counts: [50, 100, 200], idleMs: 300 },
};

const NAMES: PeerName[] = [
  'bare',
  'memory',
  'redis',
  'cluster',
  'plain-ws',
  'plain-socket-io',
  'fastify',
  'mosquitto',
  'aedes',
];
const FEW: PeerName[] = ['bare', 'memory', 'redis', 'plain-ws', 'mosquitto'];

interface Ready {
  name: PeerName;
  server: PeerServer;
  load: Load;
  held: Array<Memory & { agents: number }>;
}

interface Slopes {
  rss: number;
  used: number;
  held: Ready['held'];
}

async function run({ scale, stage, say }: Bench): Promise<Findings> {
  const { warm, counts, idleMs } = SIZES[scale];
  const peers = new Map<PeerName, Outcome<Ready>>();
  const each = async (what: (ready: Ready) => Promise<void>): Promise<void> => {
    for (const [name, outcome] of peers) {
      if ('failed' in outcome) continue;
      const done = await attempt(() => what(outcome.ok));
      if ('failed' in done) peers.set(name, done);
    }
  };
  const connect = (ready: Ready, prefix: string, count: number): Promise<void> =>
    ready.load.connect({
      dialect: PEERS[ready.name].dialect,
      ports: [ready.server.port],
      count,
      prefix,
    });
  const names = peersFor(scale, NAMES, FEW);
  for (const name of names) {
    peers.set(
      name,
      await attempt(async () => {
        const { server, load } = await stage.pair(name);
        const ready: Ready = { name, server, load, held: [] };
        // The first agents make the process grow for good: code, and room that the allocator keeps.
        await connect(ready, 'node', warm);
        await ready.load.tell({ do: 'drop' });
        return ready;
      }),
    );
    say(`${PEERS[name].title}: warmed up`);
  }
  await pause(Math.min(2_000, idleMs));
  const measureAll = (agents: number): Promise<void> =>
    each(async (ready) => {
      ready.held.push({ agents, ...(await ready.server.memory()) });
    });
  await measureAll(0);
  let connected = 0;
  for (const count of counts) {
    await each((ready) => connect(ready, connected === 0 ? 'node' : `from-${connected}`, count - connected));
    connected = count;
    say(`${count} agents each; idle for ${idleMs / 1_000} s`);
    await pause(idleMs);
    await measureAll(count);
  }
  const slopes = new Map<PeerName, Slopes>();
  for (const [name, outcome] of peers) {
    if ('failed' in outcome) continue;
    // From the first agents on, so that what the process needs for any at all does not count.
    const points = outcome.ok.held.filter(({ agents }) => agents > 0);
    slopes.set(name, {
      rss: slope(points.map(({ agents, rss }) => ({ x: agents, y: rss }))),
      used: slope(points.map(({ agents, used }) => ({ x: agents, y: used }))),
      held: outcome.ok.held,
    });
  }
  const bare = slopes.get('bare');
  const rssOf = (name: PeerName): number => slopes.get(name)?.rss ?? Number.NaN;
  const head = [
    'peer',
    'resident kB an agent',
    'x bare ws',
    'heap and buffers kB an agent',
    'x bare ws',
    ...[0, ...counts].map((count) => `MB at ${figure(count)}`),
  ];
  const kilobytes = (bytes: number): string => figure(bytes / 1_000, 2);
  return {
    tables: [
      {
        head,
        rows: [...peers].map(([name, outcome]) => {
          const { title } = PEERS[name];
          const found = slopes.get(name);
          if ('failed' in outcome || !found)
            return failedLine(title, 'failed' in outcome ? outcome.failed : '', head.length);
          return [
            title,
            kilobytes(found.rss),
            figure(found.rss / (bare?.rss ?? Number.NaN), 2),
            kilobytes(found.used),
            figure(found.used / (bare?.used ?? Number.NaN), 2),
            ...found.held.map(({ rss }) => figure(rss / 1e6)),
          ];
        }),
      },
    ],
    aims: (['memory', 'redis'] as const).flatMap((name) => [
      judge(
        `${PEERS[name].title}: resident bytes an agent, x bare ws, at most 1.3`,
        rssOf(name) / rssOf('bare'),
        {
          atMost: 1.3,
        },
      ),
      judge(
        `${PEERS[name].title}: resident kB an agent, at most 9`,
        rssOf(name) / 1_000,
        { atMost: 9 },
        ' kB',
      ),
    ]),
    notes: [
      'Rollcall and the plain hubs keep the registration of each agent (about 500 bytes of JSON), the brokers keep it as a retained message; bare ws keeps nothing.',
      'V8 gives memory back late, so the resident slope has slack in it; heap and buffers (after a forced collection) have none, but leave out what the kernel and libuv hold.',
      ...leftOut(NAMES, names),
    ],
    numbers: Object.fromEntries(
      [...slopes].flatMap(([name, { held }]) => [
        [`${name} agents`, held.map(({ agents }) => agents)],
        [`${name} resident bytes`, held.map(({ rss }) => rss)],
        [`${name} heap and buffer bytes`, held.map(({ used }) => used).filter(Number.isFinite)],
      ]),
    ),
  };
}

export const memory: Row = {
  name: 'memory',
  title: 'Memory per idle agent',
  how: 'The slope of the least-squares line through 5,000, 10,000 and 19,000 registered agents, 20 s after the last of them came and after a forced garbage collection: sockets, sessions, registry and view together. All peers idle side by side; before that each has had 3,000 agents and lost them, so that its start does not count.',
  seconds: { full: 170, quick: 25, tiny: 25 },
  run,
};
