import { setTimeout as pause } from 'node:timers/promises';
import { type Measured, measureWindow, percent, restShare, type Window } from '../harness/measure.ts';
import { BATCHES_A_SECOND, pexpireMicros } from '../harness/redis-floor.ts';
import { figure, ranged } from '../harness/report.ts';
import { type Aim, judge } from '../harness/results.ts';
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
import type { BenchRedis, Load, Stage } from '../harness/stage.ts';
import { median } from '../harness/statistics.ts';
import { PEERS, type PeerName, type PeerServer } from '../peers/catalogue.ts';

/** At most so many agents in one process: open files are bounded. */
const AGENTS_A_PROCESS = 15_000;

const SIZES = {
  full: {
    counts: [1_000, 5_000, 15_000, 50_000],
    everyoneAt: 5_000,
    rounds: 5,
    windowMs: 2_000,
    perSecond: 10_000,
  },
  quick: { counts: [1_000, 5_000], everyoneAt: 1_000, rounds: 2, windowMs: 1_000, perSecond: 5_000 },
  tiny: { counts: [50], everyoneAt: 50, rounds: 1, windowMs: 300, perSecond: 500 },
};

const PAIR: PeerName[] = ['bare', 'redis'];
/** Who is there at one of the counts. */
const EVERYONE: PeerName[] = [
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

const FEW: PeerName[] = [...PAIR, 'plain-ws', 'mosquitto'];

interface Ready extends Measured {
  loads: Load[];
  servers: PeerServer[];
  windows: Window[];
  atRest: number;
}

async function prepare(stage: Stage, name: PeerName, agents: number): Promise<Ready> {
  const group = await stage.group(name, Math.ceil(agents / AGENTS_A_PROCESS), agents);
  await pause(500);
  return { ...group, windows: [], atRest: await restShare(group.servers, 1_000) };
}

async function measure(ready: Ready, perSecond: number, windowMs: number): Promise<Window> {
  const each = perSecond / ready.loads.length;
  await Promise.all(ready.loads.map((load) => load.tell({ do: 'pace', beat: 'ping', perSecond: each })));
  await pause(500);
  const window = await measureWindow(ready, windowMs);
  await Promise.all(ready.loads.map((load) => load.tell({ do: 'rest' })));
  return window;
}

const costs = ({ windows }: Ready): number[] => windows.map(({ hubMicros }) => hubMicros);
const redisCosts = ({ windows }: Ready): number[] => windows.map(({ redisMicros }) => redisMicros);

async function run({ scale, part, rounds: roundsOf, say }: Bench): Promise<Findings> {
  const { counts, everyoneAt, rounds, windowMs, perSecond } = SIZES[scale];
  const head = [
    'agents',
    'peer',
    'hub us each',
    'x bare ws',
    'Redis us each',
    'p99 ms',
    'hub at rest',
    'answered/s',
    'load core',
  ];
  const findings: Findings = { tables: [{ head, rows: [] }], aims: [], notes: [], numbers: {} };
  for (const count of counts) {
    const names = count === everyoneAt ? peersFor(scale, EVERYONE, FEW) : PAIR;
    await part(async (stage) => {
      const peers = new Map<PeerName, Outcome<Ready>>();
      for (const name of names) {
        peers.set(name, await attempt(() => prepare(stage, name, count)));
        say(`${count} agents of ${PEERS[name].title} connected`);
      }
      for (const round of roundsOf(rounds)) {
        for (const [name, outcome] of peers) {
          if ('failed' in outcome) continue;
          const measured = await attempt(() => measure(outcome.ok, perSecond, windowMs));
          if ('failed' in measured) peers.set(name, measured);
          else outcome.ok.windows.push(measured.ok);
        }
        say(`${count} agents: round ${round + 1}/${rounds}`);
      }
      const bare = peers.get('bare');
      const floor = bare && 'ok' in bare ? median(costs(bare.ok)) : Number.NaN;
      for (const [name, outcome] of peers) {
        const { title } = PEERS[name];
        if ('failed' in outcome) {
          findings.tables[0]?.rows.push([
            figure(count),
            ...failedLine(title, outcome.failed, head.length - 1),
          ]);
          continue;
        }
        findings.tables[0]?.rows.push(line(count, title, outcome.ok, floor));
        findings.numbers[`${count} ${name} hub us`] = costs(outcome.ok);
        findings.numbers[`${count} ${name} redis us`] = redisCosts(outcome.ok);
      }
      if (count === everyoneAt) {
        const alone = await redisAlone(await stage.redis(), { keys: count, perSecond, windowMs });
        findings.notes.push(
          `A script that only does the PEXPIREs, ${figure(perSecond / BATCHES_A_SECOND)} of them ten times a second on a Redis with ${figure(count)} keys and nothing else to do, costs Redis ${ranged(alone, 2)} us each in this run: no heartbeat that is written to a key with a TTL of its own costs less. Of a node that beats more often than twice a second only the newest is written. Between bursts other processes use the core, and its caches.`,
        );
        findings.numbers['PEXPIRE alone, redis us'] = alone;
      }
      findings.aims.push(...aimsOf(count, peers.get('redis'), floor));
    });
  }
  findings.notes.push(
    `Every count beats ${figure(perSecond)} times a second in all, so that the counts can be compared: what differs is only how many sockets, sessions and records there are. More than ${figure(AGENTS_A_PROCESS)} agents are spread over several server processes, of bare ws too, which share the one core.`,
    ...leftOut(EVERYONE, peersFor(scale, EVERYONE, FEW)),
    '"At rest" is the share of a core that the servers use with all agents connected and silent: ticks of the shards, leases. It is part of the cost of each heartbeat above.',
  );
  return findings;
}

/** Several windows of what no heartbeat in Redis costs less than. */
async function redisAlone(redis: BenchRedis, load: Parameters<typeof pexpireMicros>[1]): Promise<number[]> {
  const windows: number[] = [];
  while (windows.length < 3) windows.push(await pexpireMicros(redis, load));
  return windows;
}

function line(count: number, title: string, ready: Ready, floor: number): string[] {
  const { windows, atRest, servers, redis } = ready;
  const processes = servers.length > 1 ? ` (${servers.length} processes)` : '';
  return [
    figure(count),
    `${title}${processes}`,
    ranged(costs(ready), 1),
    figure(median(costs(ready)) / floor, 2),
    redis ? ranged(redisCosts(ready), 2) : '–',
    figure(median(windows.map(({ p99 }) => p99)), 1),
    percent(atRest),
    figure(median(windows.map((one) => one.perSecond))),
    percent(median(windows.map(({ loadShare }) => loadShare))),
  ];
}

function aimsOf(count: number, outcome: Outcome<Ready> | undefined, floor: number): Aim[] {
  const ready = outcome && 'ok' in outcome ? outcome.ok : undefined;
  const hub = ready ? median(costs(ready)) : Number.NaN;
  return [
    judge(`${figure(count)} agents: hub CPU a heartbeat, x bare ws, at most 1.1`, hub / floor, {
      atMost: 1.1,
    }),
    judge(
      `${figure(count)} agents: Redis CPU a heartbeat, at most 1.5 us`,
      ready ? median(redisCosts(ready)) : Number.NaN,
      { atMost: 1.5 },
      ' us',
    ),
  ];
}

export const cpu: Row = {
  name: 'cpu',
  title: 'CPU per heartbeat',
  how: 'Pings at a fixed rate from 1,000, 5,000, 15,000 and 50,000 connected agents, the servers of one count taking turns in five interleaved rounds. CPU of the server and of Redis, divided by the answered pings. All peers at 5,000 agents, else Rollcall on Redis and bare ws.',
  seconds: { full: 280, quick: 35, tiny: 25 },
  run,
};
