import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../harness/processes.ts';
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
import { median, quantile } from '../harness/statistics.ts';
import { PEERS, type PeerName } from '../peers/catalogue.ts';

const SIZES = { full: { agents: 500 }, quick: { agents: 200 }, tiny: { agents: 20 } };

/** What agents promise: with MQTT the broker gives up after one and a half times the keepalive. */
const TIMEOUT_MS = 3_000;
const KEEP_ALIVE_S = 2;
const GIVE_UP_MS = 20_000;
/** Those whose turn has not come beat this often. */
const BEAT_MS = 500;
const SPACING_MS = 2;

const NAMES: PeerName[] = ['memory', 'redis', 'cluster', 'plain-ws', 'plain-socket-io', 'mosquitto', 'aedes'];
const FEW: PeerName[] = ['redis', 'plain-ws', 'mosquitto'];

interface Ready {
  agents: Load;
  dashboard: Load;
  /** When the last heartbeat of each was sent, once its peer's turn has come. */
  sent?: Map<string, number>;
}

async function prepare(stage: Stage, name: PeerName, count: number): Promise<Ready> {
  const settings = { intervalMs: TIMEOUT_MS / 3, timeoutMs: TIMEOUT_MS };
  const { peer, server, load: agents } = await stage.pair(name, settings);
  if (!peer.dashboard) throw new Error('nobody can watch it');
  const dashboard = await stage.load();
  const { dialect } = peer;
  const ports = [server.port];
  await agents.connect({ dialect, ports, count, prefix: 'node', keepAliveSeconds: KEEP_ALIVE_S });
  await dashboard.dashboards({ dialect: peer.dashboard, port: server.port, count: 1, watch: 'names' });
  return { agents, dashboard };
}

/** Beats for all whose turn has not come, until it is told to end. */
function keepAwake(peers: ReadonlyMap<PeerName, Outcome<Ready>>): { end(): Promise<void> } {
  let over = false;
  const beating = (async () => {
    while (!over) {
      for (const outcome of [...peers.values()]) {
        if ('ok' in outcome && !outcome.ok.sent)
          await attempt(() => outcome.ok.agents.tell({ do: 'ping-all' }));
      }
      await pause(BEAT_MS);
    }
  })();
  return {
    end: async () => {
      over = true;
      await beating;
    },
  };
}

/** Milliseconds past each node's deadline at which the dashboard knew. */
async function overshoot(name: PeerName, { dashboard, sent = new Map() }: Ready): Promise<number[]> {
  const known = new Map<string, number>();
  await until(
    `${PEERS[name].title} gives all of them up`,
    GIVE_UP_MS,
    async () => {
      for (const [id, status, at] of await dashboard.seen())
        if (status === 'offline' && !known.has(id)) known.set(id, at);
      return known.size >= sent.size;
    },
    200,
  );
  return [...sent].map(([id, at]) => (known.get(id) ?? Number.NaN) - at - TIMEOUT_MS);
}

/** All peers are up together, and fall silent one after the other, so that one's notices do not meet another's. */
async function measureAll({ scale, stage, say }: Bench): Promise<Map<PeerName, Outcome<number[]>>> {
  const { agents } = SIZES[scale];
  const peers = new Map<PeerName, Outcome<Ready>>();
  const awake = keepAwake(peers);
  try {
    for (const name of peersFor(scale, NAMES, FEW)) {
      peers.set(name, await attempt(() => prepare(stage, name, agents)));
      say(`${PEERS[name].title}: ${agents} agents beat`);
    }
    // A hub must have seen its store for a timeout before it judges anybody.
    await pause(TIMEOUT_MS + 500);
    for (const [name, outcome] of peers) {
      if ('failed' in outcome) continue;
      const { ok: ready } = outcome;
      await ready.dashboard.seen(true);
      // Set first, so that no beat for those that wait comes behind the last one.
      ready.sent = new Map();
      await pause(BEAT_MS);
      ready.sent = await ready.agents.lastPings(SPACING_MS);
      say(`${PEERS[name].title}: silent`);
    }
  } finally {
    await awake.end();
  }
  const results = new Map<PeerName, Outcome<number[]>>();
  for (const [name, outcome] of peers) {
    results.set(name, 'failed' in outcome ? outcome : await attempt(() => overshoot(name, outcome.ok)));
  }
  return results;
}

const early = (values: readonly number[]): number => values.filter((over) => over < 0).length;

async function run(bench: Bench): Promise<Findings> {
  const peers = await measureAll(bench);
  const head = ['ms past the deadline', 'median', 'p99', 'worst', 'too early'];
  const of = (name: PeerName): number[] => {
    const outcome = peers.get(name);
    return outcome && 'ok' in outcome ? outcome.ok : [];
  };
  const hub = of('redis');
  const none: Aim = {
    aim: 'Rollcall on Redis: none too early',
    measured: hub.length > 0 ? String(early(hub)) : 'not measured',
    verdict: hub.length === 0 ? 'unknown' : early(hub) === 0 ? 'met' : 'missed',
  };
  return {
    tables: [
      {
        head,
        rows: peerLines(peers, head.length, (over) => {
          return [
            figure(median(over)),
            figure(quantile(over, 0.99)),
            figure(quantile(over, 1)),
            `${early(over)} of ${over.length}`,
          ];
        }),
      },
    ],
    aims: [
      judge(
        'Rollcall on Redis: silence known past its deadline, p99 at most 120 ms',
        quantile(hub, 0.99),
        { atMost: 120 },
        ' ms',
        0,
      ),
      none,
    ],
    notes: [
      'The plain hubs hear of it by keyspace notifications of Redis, which come when Redis finds a key expired. The brokers look at keepalives at intervals of their own; MQTT allows that, and 3 s are one and a half times the keepalive of 2 s.',
      'Bare ws and REST are not here: bare ws never notices, and REST tells nobody.',
      ...leftOut(NAMES, [...peers.keys()]),
    ],
    numbers: Object.fromEntries([...peers.keys()].map((name) => [`${name} ms past the deadline`, of(name)])),
  };
}

export const silence: Row = {
  name: 'silence',
  title: 'Detection: silence',
  how: `Agents keep their socket and stop beating, ${SIZES.full.agents} of them, ${SPACING_MS} ms apart. From each one's last heartbeat and its timeout of 3 s to the dashboard.`,
  seconds: { full: 45, quick: 25, tiny: 50 },
  run,
};
