import { setTimeout as pause } from 'node:timers/promises';
import { isLoadBound, type Measured, measureWindow, percent, type Window } from '../harness/measure.ts';
import { figure, ranged } from '../harness/report.ts';
import { type Aim, judge, type Table } from '../harness/results.ts';
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
import type { BenchRedis, Load, Stage } from '../harness/stage.ts';
import { median } from '../harness/statistics.ts';
import type { Beat } from '../load/agent-dialects.ts';
import { PEERS, type PeerName } from '../peers/catalogue.ts';

const SIZES = {
  full: { agents: 4_000, rounds: 5, settleMs: 700, windowMs: 1_900 },
  quick: { agents: 1_000, rounds: 2, settleMs: 400, windowMs: 700 },
  tiny: { agents: 400, rounds: 1, settleMs: 200, windowMs: 300 },
};
const P99_MS = 50;
const TIMEOUT_MS = 600_000;
/** Half of the default timeout: no node's heartbeat in Redis may be older right after the load. */
const OLDEST_MS = 15_000;

const NAMES: PeerName[] = [
  'responder',
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
const FEW: PeerName[] = ['responder', 'bare', 'redis', 'plain-ws', 'mosquitto'];
const BEATS: Beat[] = ['ping', 'stats'];

interface Ready extends Measured {
  load: Load;
  redis: BenchRedis | undefined;
  windows: Record<Beat, Window[]>;
}

type Peers = Map<PeerName, Outcome<Ready>>;

async function prepare(stage: Stage, name: PeerName, agents: number): Promise<Ready> {
  const { peer, server, redis, load } = await stage.pair(name, { timeoutMs: TIMEOUT_MS });
  await load.connect({ dialect: peer.dialect, ports: [server.port], count: agents, prefix: 'node' });
  return { servers: [server], loads: [load], load, redis, windows: { ping: [], stats: [] } };
}

async function measure(ready: Ready, beat: Beat, settleMs: number, windowMs: number): Promise<Window> {
  await ready.load.tell({ do: 'saturate', beat, p99Ms: P99_MS });
  await pause(settleMs);
  const window = await measureWindow(ready, windowMs);
  await ready.load.tell({ do: 'rest' });
  await pause(200);
  return window;
}

const all = (windows: readonly Window[], pick: (window: Window) => number): number[] => windows.map(pick);

/** The rates of all peers for one kind of heartbeat. */
function rateTable(peers: Peers, beat: Beat): Table {
  const head = [
    beat === 'ping' ? 'a ping' : 'stats and a ping',
    'answered/s',
    'x bare ws',
    'hub us each',
    'Redis us each',
    'p99 ms',
    'under way',
    'hub core',
    'load + Redis core',
  ];
  const bare = rateOf(peers, 'bare', beat);
  const rows = peerLines(peers, head.length, (found, name) => {
    const windows = found.windows[beat];
    const shares = `${percent(median(all(windows, (one) => one.loadShare)))} + ${percent(median(all(windows, (one) => one.redisShare)))}`;
    return [
      ranged(all(windows, (one) => one.perSecond)),
      figure(rateOf(peers, name, beat) / bare, 2),
      ranged(
        all(windows, (one) => one.hubMicros),
        1,
      ),
      found.redis
        ? ranged(
            all(windows, (one) => one.redisMicros),
            2,
          )
        : '–',
      ranged(
        all(windows, (one) => one.p99),
        0,
      ),
      figure(median(all(windows, (one) => one.underWay))),
      percent(median(all(windows, (one) => one.hubShare))),
      windows.some(isLoadBound) ? `${shares}, load-bound` : shares,
    ];
  });
  return { head, rows };
}

const valuesOf = (peers: Peers, name: PeerName, beat: Beat, pick: (window: Window) => number): number[] => {
  const outcome = peers.get(name);
  return outcome && 'ok' in outcome ? all(outcome.ok.windows[beat], pick) : [];
};
const rateOf = (peers: Peers, name: PeerName, beat: Beat): number =>
  median(valuesOf(peers, name, beat, (one) => one.perSecond));
const costOf = (peers: Peers, name: PeerName, beat: Beat): number =>
  median(valuesOf(peers, name, beat, (one) => one.hubMicros));

/** Heartbeats in Redis that are older than they may be right after all agents beat. */
async function audit(peers: Peers, names: readonly PeerName[], agents: number): Promise<Aim[]> {
  const aims: Aim[] = [];
  for (const name of names) {
    const outcome = peers.get(name);
    if (!outcome || 'failed' in outcome || !outcome.ok.redis) continue;
    await outcome.ok.load.tell({ do: 'ping-all' });
    await pause(1_000);
    const ttls = await outcome.ok.redis.beatTtls();
    const fresh = ttls.filter((ttl) => ttl > TIMEOUT_MS - OLDEST_MS).length;
    aims.push({
      aim: `${PEERS[name].title}: every node's heartbeat in Redis is at most ${OLDEST_MS / 1_000} s old after the load`,
      measured: `${fresh} of ${agents}`,
      verdict: fresh === agents ? 'met' : 'missed',
    });
  }
  return aims;
}

/** Where the CPU of a ping goes that mosquitto does not need. */
function distance(peers: Peers): string[] {
  const [broker, bare, hub] = [
    costOf(peers, 'mosquitto', 'ping'),
    costOf(peers, 'bare', 'ping'),
    costOf(peers, 'redis', 'ping'),
  ];
  if (![broker, bare, hub].every(Number.isFinite)) return [];
  return [
    `mosquitto's PINGREQ costs ${figure(broker, 1)} us of CPU, a ping of bare ws ${figure(bare, 1)} us, of Rollcall on Redis ${figure(hub, 1)} us: ${figure(hub / broker, 1)} x mosquitto's. Most of what is between them is the runtime's, a socket's read and write through libuv and JavaScript: closing it would take sockets and frames outside of JavaScript, not a better hub. mosquitto keeps no record of the heartbeat that another process could see.`,
  ];
}

/** Agents that a server let go while they were measured: its rates are then of fewer agents. */
function cutOff(peers: Peers): string[] {
  return [...peers].flatMap(([name, outcome]) => {
    if ('failed' in outcome) return [];
    const { ping, stats } = outcome.ok.windows;
    const lost = [...ping, ...stats].reduce((sum, window) => sum + window.lost, 0);
    return lost > 0 ? [`${PEERS[name].title} lost ${lost} agents during the load.`] : [];
  });
}

async function run({ scale, stage, rounds: roundsOf, say }: Bench): Promise<Findings> {
  const { agents, rounds, settleMs, windowMs } = SIZES[scale];
  const peers: Peers = new Map();
  const names = peersFor(scale, NAMES, FEW);
  for (const name of names) {
    peers.set(name, await attempt(() => prepare(stage, name, agents)));
    say(`${PEERS[name].title}: ${agents} agents connected`);
  }
  for (const round of roundsOf(rounds)) {
    for (const [name, outcome] of peers) {
      if ('failed' in outcome) continue;
      for (const beat of BEATS) {
        const measured = await attempt(() => measure(outcome.ok, beat, settleMs, windowMs));
        if ('failed' in measured) {
          peers.set(name, measured);
          break;
        }
        outcome.ok.windows[beat].push(measured.ok);
        say(
          `round ${round + 1}/${rounds} ${PEERS[name].title}, ${beat}: ${figure(measured.ok.perSecond)}/s, ${figure(measured.ok.hubMicros, 1)} us`,
        );
      }
    }
  }
  const ratio = (name: PeerName, to: PeerName, beat: Beat): number =>
    rateOf(peers, name, beat) / rateOf(peers, to, beat);
  const ceiling = rateOf(peers, 'responder', 'ping');
  const numbers: Record<string, number[]> = {};
  for (const [name, outcome] of peers) {
    if ('failed' in outcome) continue;
    for (const beat of BEATS) {
      numbers[`${name} ${beat} answered/s`] = all(outcome.ok.windows[beat], (one) => one.perSecond);
      numbers[`${name} ${beat} hub us`] = all(outcome.ok.windows[beat], (one) => one.hubMicros);
      numbers[`${name} ${beat} redis us`] = all(outcome.ok.windows[beat], (one) => one.redisMicros);
      numbers[`${name} ${beat} p99 ms`] = all(outcome.ok.windows[beat], (one) => one.p99);
    }
  }
  return {
    tables: BEATS.map((beat) => rateTable(peers, beat)),
    aims: [
      judge('Rollcall on Redis: pings a second, x bare ws, at least 0.95', ratio('redis', 'bare', 'ping'), {
        atLeast: 0.95,
      }),
      judge(
        'the same by CPU: bare ws us / Rollcall us, at least 0.95',
        costOf(peers, 'bare', 'ping') / costOf(peers, 'redis', 'ping'),
        { atLeast: 0.95 },
      ),
      judge(
        'Rollcall on Redis: stats a second, x plain ws + ioredis, at least 1.5',
        ratio('redis', 'plain-ws', 'stats'),
        { atLeast: 1.5 },
      ),
      ...(await audit(peers, names, agents)),
    ],
    notes: [
      `The load drives ${figure(ceiling)} pings a second against the raw responder. Where its core is full ("load-bound"), the rate says what the load could do, and only the CPU of each heartbeat tells the servers apart.`,
      ...distance(peers),
      ...cutOff(peers),
      ...leftOut(NAMES, names),
    ],
    numbers,
  };
}

export const heartbeats: Row = {
  name: 'heartbeats',
  title: 'Heartbeats',
  how: `${SIZES.full.agents.toLocaleString('en-US')} agents of each peer stay connected; each in turn gets a window, in ${SIZES.full.rounds} interleaved rounds. The number of heartbeats under way grows until the p99 of the answers comes near ${P99_MS} ms; all agents take turns. "Stats" are figures of about 300 bytes that are written to the store, and a ping behind them, because stats alone are not answered. Median and range of the rounds.`,
  seconds: { full: 310, quick: 40, tiny: 40 },
  run,
};
