import { setTimeout as pause } from 'node:timers/promises';
import { isLoadBound, measureWindow, percent, type Window } from '../harness/measure.ts';
import { figure, ranged } from '../harness/report.ts';
import { attempt, type Bench, type Findings, type Outcome, peerLines, type Row } from '../harness/row.ts';
import type { BenchRedis, Load, Stage } from '../harness/stage.ts';
import { median } from '../harness/statistics.ts';
import type { PeerName, PeerServer } from '../peers/catalogue.ts';

const SIZES = {
  full: { agents: 1_000, rounds: 5, settleMs: 1_000, windowMs: 2_500 },
  quick: { agents: 500, rounds: 2, settleMs: 500, windowMs: 1_500 },
  tiny: { agents: 50, rounds: 1, settleMs: 200, windowMs: 300 },
};
const P99_MS = 50;
const NAMES: PeerName[] = ['fastify', 'rest'];

interface Ready {
  server: PeerServer;
  load: Load;
  redis: BenchRedis | undefined;
  windows: Window[];
}

async function prepare(stage: Stage, name: PeerName, agents: number): Promise<Ready> {
  const { peer, server, redis, load } = await stage.pair(name);
  await load.connect({ dialect: peer.dialect, ports: [server.port], count: agents, prefix: 'node' });
  return { server, load, redis, windows: [] };
}

async function run({ scale, stage, rounds: roundsOf, say }: Bench): Promise<Findings> {
  const { agents, rounds, settleMs, windowMs } = SIZES[scale];
  const peers = new Map<PeerName, Outcome<Ready>>();
  for (const name of NAMES) peers.set(name, await attempt(() => prepare(stage, name, agents)));
  for (const round of roundsOf(rounds)) {
    for (const [name, outcome] of peers) {
      if ('failed' in outcome) continue;
      const { load, server, redis, windows } = outcome.ok;
      const measured = await attempt(async () => {
        await load.tell({ do: 'saturate', beat: 'stats', p99Ms: P99_MS });
        await pause(settleMs);
        const window = await measureWindow({ loads: [load], servers: [server], redis }, windowMs);
        await load.tell({ do: 'rest' });
        await pause(200);
        return window;
      });
      if ('failed' in measured) peers.set(name, measured);
      else windows.push(measured.ok);
    }
    say(`round ${round + 1}/${rounds}`);
  }
  const head = [
    'POST with stats',
    'answered/s',
    'x Fastify + ioredis',
    'hub us each',
    'Redis us each',
    'p99 ms',
    'load + Redis core',
  ];
  const windowsOf = (name: PeerName): Window[] => {
    const outcome = peers.get(name);
    return outcome && 'ok' in outcome ? outcome.ok.windows : [];
  };
  const rateOf = (name: PeerName): number => median(windowsOf(name).map(({ perSecond }) => perSecond));
  return {
    tables: [
      {
        head,
        rows: peerLines(peers, head.length, ({ windows }, name) => {
          const shares = `${percent(median(windows.map(({ loadShare }) => loadShare)))} + ${percent(median(windows.map(({ redisShare }) => redisShare)))}`;
          return [
            ranged(windows.map(({ perSecond }) => perSecond)),
            figure(rateOf(name) / rateOf('fastify'), 2),
            ranged(
              windows.map(({ hubMicros }) => hubMicros),
              1,
            ),
            ranged(
              windows.map(({ redisMicros }) => redisMicros),
              2,
            ),
            ranged(windows.map(({ p99 }) => p99)),
            windows.some(isLoadBound) ? `${shares}, load-bound` : shares,
          ];
        }),
      },
    ],
    aims: [],
    notes: [
      'Rollcall fences by session, keeps a record and an event log, and tells dashboards; the plain one sets a key.',
    ],
    numbers: Object.fromEntries(
      NAMES.flatMap((name) => [
        [`${name} answered/s`, windowsOf(name).map(({ perSecond }) => perSecond)],
        [`${name} hub us`, windowsOf(name).map(({ hubMicros }) => hubMicros)],
      ]),
    ),
  };
}

export const http: Row = {
  name: 'http',
  title: 'Heartbeats over HTTP',
  how: `Agents without a socket of their own protocol: ${figure(SIZES.full.agents)} kept connections, a POST with figures for each heartbeat, as many under way as keep the p99 near ${P99_MS} ms, in five interleaved rounds.`,
  seconds: { full: 45, quick: 15, tiny: 12 },
  run,
};
