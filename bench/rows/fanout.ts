import { setTimeout as pause } from 'node:timers/promises';
import { percent } from '../harness/measure.ts';
import { cpuMicros } from '../harness/processes.ts';
import { figure } from '../harness/report.ts';
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
import type { Load, Stage } from '../harness/stage.ts';
import { Histogram } from '../harness/statistics.ts';
import { PEERS, type PeerName, type PeerServer } from '../peers/catalogue.ts';

const SIZES = {
  full: { agents: 2_000, perSecond: 1_000, dashboards: 99, settleMs: 3_000, windowMs: 15_000 },
  quick: { agents: 1_000, perSecond: 500, dashboards: 29, settleMs: 1_000, windowMs: 3_000 },
  tiny: { agents: 50, perSecond: 20, dashboards: 3, settleMs: 300, windowMs: 1_000 },
};
const FEW: PeerName[] = ['redis', 'plain-ws', 'mosquitto'];
/** A hub gives a dashboard that stopped reading up to 30 s. */
const CUT_OFF_WITHIN_SECONDS = 32;
const CUT_OFF_LOOK_MS = 500;
/** What a server may hold more after the window than before it, and its memory still counts as flat. */
const FLAT_BYTES = 16e6;
/** After a forced collection, before the window begins. */
const RECOVER_MS = 1_000;

const NAMES: PeerName[] = ['memory', 'redis', 'plain-ws', 'plain-socket-io', 'mosquitto', 'aedes'];

interface FanOut {
  sentPerSecond: number;
  /** Of what should have come. */
  deliveredShare: number;
  p50: number;
  p99: number;
  hubMicrosPerDelivery: number;
  redisMicrosPerChange: number;
  hubShare: number;
  loadShare: number;
  bytesPerDelivery: number;
  /** Seconds from the stall of the stalled dashboard to its end, or for how long it was kept at least. */
  stalled: { seconds: number; cutOff: boolean };
  grownBytes: number;
}

/**
 * Waits until the stalled dashboard is cut off, while changes go on. Only after the window: to look it up, the
 * process that reads the dashboards reads the kernel's table of sockets, which takes 80 ms where other rows left
 * many. Who promises no bound is looked at once.
 */
async function untilCutOff(readers: Load, stalledAt: number, promised: boolean): Promise<FanOut['stalled']> {
  for (;;) {
    const cutOff = (await readers.number({ do: 'stalled' })) === 0;
    const seconds = (performance.now() - stalledAt) / 1_000;
    if (cutOff || !promised || seconds > CUT_OFF_WITHIN_SECONDS) return { seconds, cutOff };
    await pause(CUT_OFF_LOOK_MS);
  }
}

/** Heap and buffers after a forced collection; of a server that is not Node, what is resident. */
async function heldBytes(server: PeerServer): Promise<number> {
  const { used, rss } = await server.memory();
  return Number.isNaN(used) ? rss : used;
}

async function measure(stage: Stage, name: PeerName, sizes: (typeof SIZES)['full']): Promise<FanOut> {
  const { peer, server, redis, load: agents } = await stage.pair(name);
  if (!peer.dashboard) throw new Error('nobody can watch it');
  const readers = await stage.load();
  await agents.connect({ dialect: peer.dialect, ports: [server.port], count: sizes.agents, prefix: 'node' });
  await readers.dashboards({
    dialect: peer.dashboard,
    port: server.port,
    count: sizes.dashboards,
    stalled: 1,
    watch: 'latency',
  });
  const stalledAt = performance.now();
  await agents.tell({ do: 'change', perSecond: sizes.perSecond });
  await pause(sizes.settleMs);
  const heldBefore = await heldBytes(server);
  await pause(RECOVER_MS);
  await Promise.all([agents.tell({ do: 'mark' }), readers.tell({ do: 'mark' })]);
  const hubBefore = cpuMicros(server.pid);
  const redisBefore = redis?.cpuMicros() ?? 0;
  await pause(sizes.windowMs);
  const hub = cpuMicros(server.pid) - hubBefore;
  const redisUsed = (redis?.cpuMicros() ?? 0) - redisBefore;
  const [sent, read] = await Promise.all([agents.read(), readers.read()]);
  const heldAfter = await heldBytes(server);
  const stalled = await untilCutOff(readers, stalledAt, peer.dashboard === 'rollcall');
  await agents.tell({ do: 'rest' });
  const latency = new Histogram();
  latency.merge(read.deliveryLatency);
  // Every other change carries the marker: a check that fails. The one that is well again has no message.
  const deliveries = 2 * read.deliveries;
  return {
    sentPerSecond: sent.changesSent / (sent.ms / 1_000),
    deliveredShare: deliveries / (sent.changesSent * sizes.dashboards),
    p50: latency.quantile(0.5),
    p99: latency.quantile(0.99),
    hubMicrosPerDelivery: hub / deliveries,
    redisMicrosPerChange: redis ? redisUsed / sent.changesSent : Number.NaN,
    hubShare: hub / (sent.ms * 1_000),
    loadShare: (sent.cpuMicros + read.cpuMicros) / (sent.ms * 1_000),
    bytesPerDelivery: read.deliveredBytes / deliveries,
    grownBytes: heldAfter - heldBefore,
    stalled,
  };
}

const saidOf = ({ seconds, cutOff }: FanOut['stalled']): string =>
  cutOff ? `after ${figure(seconds, 1)} s` : `not within ${figure(seconds, 1)} s`;

function stalledAim(stalled: FanOut['stalled'] | undefined): Aim {
  return {
    aim: `Rollcall on Redis: the stalled dashboard is cut off within ${CUT_OFF_WITHIN_SECONDS} s`,
    measured: stalled ? saidOf(stalled) : 'not measured',
    verdict: !stalled ? 'unknown' : stalled.cutOff ? 'met' : 'missed',
  };
}

function aimsOf(found: FanOut | undefined): Aim[] {
  return [
    judge(
      'Rollcall on Redis: agent to dashboard, p99 at most 150 ms',
      found?.p99 ?? Number.NaN,
      { atMost: 150 },
      ' ms',
      0,
    ),
    stalledAim(found?.stalled),
    judge(
      `Rollcall on Redis: memory flat (after the window over before it, at most ${FLAT_BYTES / 1e6} MB)`,
      (found?.grownBytes ?? Number.NaN) / 1e6,
      { atMost: FLAT_BYTES / 1e6 },
      ' MB',
      1,
    ),
  ];
}

async function run({ scale, part, say }: Bench): Promise<Findings> {
  const sizes = SIZES[scale];
  const peers = new Map<PeerName, Outcome<FanOut>>();
  const names = peersFor(scale, NAMES, FEW);
  for (const name of names) {
    say(PEERS[name].title);
    peers.set(name, await attempt(() => part((stage) => measure(stage, name, sizes))));
  }
  const head = [
    'peer',
    'changes/s',
    'delivered',
    'p50 ms',
    'p99 ms',
    'hub us a delivery',
    'Redis us a change',
    'bytes a delivery',
    'hub core',
    'load core',
    'stalled one cut off',
    'held more after it, MB',
  ];
  const redis = peers.get('redis');
  return {
    tables: [
      {
        head,
        rows: peerLines(peers, head.length, (found) => {
          return [
            figure(found.sentPerSecond),
            `${figure(found.deliveredShare * 100, 1)} %`,
            figure(found.p50, 1),
            figure(found.p99, 1),
            figure(found.hubMicrosPerDelivery, 2),
            figure(found.redisMicrosPerChange, 1),
            figure(found.bytesPerDelivery),
            percent(found.hubShare),
            percent(found.loadShare),
            saidOf(found.stalled),
            figure(found.grownBytes / 1e6, 1),
          ];
        }),
      },
    ],
    aims: aimsOf(redis && 'ok' in redis ? redis.ok : undefined),
    notes: [
      ...leftOut(NAMES, names),
      "A change is figures of an agent whose check fails, or is well again. Rollcall writes a new version of the record and an entry in its log, and tells dashboards the whole event at most every 50 ms; the plain hubs publish an id, a status and a text at once; the brokers pass the message on. From the agent's write to the dashboard's read.",
      'The stalled dashboard stops reading after its first picture; the kernel takes some MB of what is sent to it first. Rollcall promises to cut it off and is waited for; the others are looked at once, after the window.',
      'Held: heap and buffers after a forced collection, before the window and after it, while the stalled dashboard is still there (of mosquitto what is resident). What is resident goes up and down by far more, because V8 collects records that were replaced only every 15 s or so.',
    ],
    numbers: Object.fromEntries(
      [...peers].flatMap(([name, outcome]) =>
        'ok' in outcome
          ? [
              [`${name} p50 and p99, ms`, [outcome.ok.p50, outcome.ok.p99]],
              [`${name} hub us a delivery`, [outcome.ok.hubMicrosPerDelivery]],
              [`${name} held more, bytes`, [outcome.ok.grownBytes]],
            ]
          : [],
      ),
    ),
  };
}

export const fanout: Row = {
  name: 'fanout',
  title: 'Fan-out',
  how: `${figure(SIZES.full.perSecond)} status changes a second from ${figure(SIZES.full.agents)} agents to ${SIZES.full.dashboards + 1} dashboards without a filter (summaries), one of which stops reading. Dashboards are raw sockets that look for the time in each change.`,
  seconds: { full: 170, quick: 60, tiny: 90 },
  run,
};
