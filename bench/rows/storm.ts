import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { tcpCounters, until } from '../harness/processes.ts';
import { figure, ranged } from '../harness/report.ts';
import { type Aim, judge } from '../harness/results.ts';
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
import { median, quantile } from '../harness/statistics.ts';
import { PEERS, type PeerName, type PeerServer } from '../peers/catalogue.ts';

const SIZES = {
  full: { agents: 15_000, rounds: 3, otherRounds: 1 },
  quick: { agents: 3_000, rounds: 1, otherRounds: 1 },
  tiny: { agents: 100, rounds: 1, otherRounds: 1 },
};

/** These get all rounds, the others one. */
const MAIN: PeerName[] = ['bare', 'redis'];
const NAMES: PeerName[] = ['bare', 'redis', 'plain-ws', 'plain-socket-io', 'mosquitto', 'aedes'];
const FEW: PeerName[] = [...MAIN, 'plain-ws', 'mosquitto'];
const GIVE_UP_MS = 60_000;
const TIMING = { intervalMs: 10_000, timeoutMs: 30_000 };

interface Storm {
  to99: number;
  to100: number;
  /** What was refused meanwhile, in words, and how often. */
  refusals: Array<[why: string, times: number]>;
  synRetransmits: number;
  listenDrops: number;
  /** Heartbeats in Redis, nodes that the view calls online, `offline` events: of hubs with a record. */
  ttls?: number;
  online?: number;
  offlineEvents?: number;
}

export const summarySchema = z.object({
  total: z.number(),
  status: z.record(z.string(), z.number()),
});

/** What a hub's own view says. */
export async function summaryOf(port: number): Promise<z.output<typeof summarySchema>> {
  const response = await fetch(`http://127.0.0.1:${port}/api/v1/summary`, {
    signal: AbortSignal.timeout(10_000),
  });
  return summarySchema.parse(await response.json());
}

async function measure(stage: Stage, name: PeerName, agents: number): Promise<Storm> {
  const { peer, server, redis, load } = await stage.pair(name, TIMING);
  await load.connect({ dialect: peer.dialect, ports: [server.port], count: agents, prefix: 'node' });
  await load.tell({ do: 'ping-all' });
  await pause(1_000);
  await load.tell({ do: 'herd', port: server.port });
  const before = tcpCounters();
  await server.kill();
  // As long as it takes to start: agents wait for the port, not for the clock.
  const again = await stage.server(peer, { redisUrl: redis?.url, port: server.port, ...TIMING });
  const found = await wait(load, peer.title, agents);
  const after = tcpCounters();
  const storm: Storm = {
    ...found,
    synRetransmits: after.synRetransmits - before.synRetransmits,
    listenDrops: after.listenDrops - before.listenDrops,
  };
  return redis ? { ...storm, ...(await audit(name, again, redis)) } : storm;
}

async function wait(load: Load, title: string, agents: number) {
  let back = await load.returned();
  let lastJoined = -1;
  await until(
    `${title} has all ${agents} agents again`,
    GIVE_UP_MS,
    async () => {
      back = await load.returned();
      if (back.joined >= agents && back.joined === lastJoined) return true;
      lastJoined = back.joined;
      return false;
    },
    200,
  ).catch((error: unknown) => {
    const why = back.refusals.map(([kind, times]) => `${times} x ${kind}`).join(', ');
    throw new Error(`${error instanceof Error ? error.message : error}: ${back.joined} are back; ${why}`);
  });
  return { to99: back.at99 - back.listenAt, to100: back.lastAt - back.listenAt, refusals: back.refusals };
}

async function audit(name: PeerName, server: PeerServer, redis: BenchRedis) {
  await pause(500);
  const ttls = (await redis.beatTtls()).filter((ttl) => ttl > 0).length;
  if (name !== 'redis') return { ttls };
  const { status } = await summaryOf(server.port);
  return { ttls, online: status.online ?? 0, offlineEvents: await redis.eventsWith('"to":"offline"') };
}

const known = (value: number | undefined): string => (value === undefined ? '–' : figure(value));

function aimsOf(storms: readonly Storm[], agents: number): Aim[] {
  const unmeasured = storms.length === 0;
  const count = (aim: string, pick: (storm: Storm) => number | undefined, wanted: number): Aim => {
    const values = storms.map((storm) => pick(storm) ?? Number.NaN);
    const measured = unmeasured ? 'not measured' : values.join(', ');
    return {
      aim,
      measured,
      verdict: unmeasured ? 'unknown' : values.every((value) => value === wanted) ? 'met' : 'missed',
    };
  };
  const worst = Math.max(...storms.map(({ synRetransmits }) => synRetransmits));
  return [
    judge(
      `Rollcall on Redis: from listen to all ${figure(agents)} registered, at most 4 s`,
      median(storms.map(({ to100 }) => to100)) / 1_000,
      { atMost: 4 },
      ' s',
    ),
    count('Rollcall on Redis: heartbeats in Redis afterwards', ({ ttls }) => ttls, agents),
    count('Rollcall on Redis: nodes that the view calls online', ({ online }) => online, agents),
    count('Rollcall on Redis: offline events', ({ offlineEvents }) => offlineEvents, 0),
    judge(
      'Rollcall on Redis: SYN retransmits, at most 1 in 100 agents',
      unmeasured ? Number.NaN : worst,
      { atMost: agents / 100 },
      '',
      0,
    ),
  ];
}

async function run({ scale, part, rounds: roundsOf, say }: Bench): Promise<Findings> {
  const { agents, rounds, otherRounds } = SIZES[scale];
  const names = peersFor(scale, NAMES, FEW);
  const peers = new Map<PeerName, Outcome<Storm[]>>();
  for (const round of roundsOf(rounds)) {
    for (const name of names) {
      if (round >= (MAIN.includes(name) ? rounds : otherRounds)) continue;
      const before = peers.get(name);
      if (before && 'failed' in before) continue;
      say(`round ${round + 1}/${rounds} ${PEERS[name].title}`);
      const storm = await attempt(() => part((stage) => measure(stage, name, agents)));
      peers.set(name, 'failed' in storm ? storm : { ok: [...(before?.ok ?? []), storm.ok] });
    }
  }
  const head = [
    'peer',
    'to 99 %, s',
    'to all, s',
    'x bare ws',
    'sent away',
    'SYN retransmits',
    'TTLs in Redis',
    'online in the view',
    'offline events',
  ];
  const of = (name: PeerName): Storm[] => {
    const outcome = peers.get(name);
    return outcome && 'ok' in outcome ? outcome.ok : [];
  };
  const timesOf = (name: PeerName): number[] => of(name).map(({ to100 }) => to100 / 1_000);
  const notes = [...peers.keys()].flatMap((name) => {
    const last = of(name).at(-1);
    if (!last || last.refusals.length === 0) return [];
    return [
      `${PEERS[name].title}, sent away: ${last.refusals.map(([why, times]) => `${figure(times)} x ${why}`).join(', ')}.`,
    ];
  });
  return {
    tables: [
      {
        head,
        rows: peerLines(peers, head.length, (storms, name) => {
          const last = storms.at(-1);
          const sentAway = storms.map(({ refusals }) => refusals.reduce((sum, [, times]) => sum + times, 0));
          return [
            ranged(
              storms.map(({ to99 }) => to99 / 1_000),
              2,
            ),
            ranged(timesOf(name), 2),
            figure(median(timesOf(name)) / median(timesOf('bare')), 1),
            figure(median(sentAway)),
            figure(
              quantile(
                storms.map(({ synRetransmits }) => synRetransmits),
                1,
              ),
            ),
            known(last?.ttls),
            known(last?.online),
            known(last?.offlineEvents),
          ];
        }),
      },
    ],
    aims: aimsOf(of('redis'), agents),
    notes: [
      'No jitter for anybody: whoever is lost waits until the port listens, and then all come in the same moment; whoever is sent away comes back after the time that the server names, else after 100 ms. Of bare ws "registered" means connected, of a broker that its facts are acknowledged.',
      ...notes,
      ...leftOut(NAMES, names),
    ],
    numbers: Object.fromEntries(
      [...peers.keys()].flatMap((name) => [
        [`${name} to 99 % ms`, of(name).map(({ to99 }) => to99)],
        [`${name} to all ms`, of(name).map(({ to100 }) => to100)],
        [`${name} SYN retransmits`, of(name).map(({ synRetransmits }) => synRetransmits)],
      ]),
    ),
  };
}

export const storm: Row = {
  name: 'storm',
  title: 'Storm',
  how: `${figure(SIZES.full.agents)} agents on one server, which is killed (SIGKILL) and started again on the same port. From the moment it listens to the registration of 99 % and of all.`,
  seconds: { full: 160, quick: 30, tiny: 40 },
  run,
};
