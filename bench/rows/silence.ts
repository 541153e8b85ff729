import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../harness/processes.ts';
import { figure } from '../harness/report.ts';
import { type Aim, judge } from '../harness/results.ts';
import { attempt, type Bench, type Findings, failedLine, type Outcome, type Row } from '../harness/row.ts';
import type { Stage } from '../harness/stage.ts';
import { median, quantile } from '../harness/statistics.ts';
import { PEERS, type PeerName } from '../peers/catalogue.ts';

const SIZES = { full: { agents: 500 }, quick: { agents: 200 }, tiny: { agents: 20 } };

/** What agents promise: with MQTT the broker gives up after one and a half times the keepalive. */
const TIMEOUT_MS = 3_000;
const KEEP_ALIVE_S = 2;
const GIVE_UP_MS = 20_000;

const NAMES: PeerName[] = ['memory', 'redis', 'cluster', 'plain-ws', 'plain-socket-io', 'mosquitto', 'aedes'];

/** Milliseconds past each node's deadline at which the dashboard knew. */
async function measure(stage: Stage, name: PeerName, count: number): Promise<number[]> {
  const { peer, server } = await stage.peer(name, { intervalMs: TIMEOUT_MS / 3, timeoutMs: TIMEOUT_MS });
  if (!peer.dashboard) throw new Error('nobody can watch it');
  const [agents, dashboard] = [await stage.load(), await stage.load()];
  await agents.connect({
    dialect: peer.dialect,
    ports: [server.port],
    count,
    prefix: 'node',
    keepAliveSeconds: KEEP_ALIVE_S,
  });
  await dashboard.dashboards({ dialect: peer.dashboard, port: server.port, count: 1, watch: 'names' });
  // A hub must have seen its store for a timeout before it judges anybody.
  for (let passed = 0; passed < TIMEOUT_MS + 500; passed += 500) {
    await agents.tell({ do: 'ping-all' });
    await pause(500);
  }
  await dashboard.seen(true);
  const sent = await agents.lastPings(2);
  const known = new Map<string, number>();
  await until(
    `${peer.title} gives all of them up`,
    GIVE_UP_MS,
    async () => {
      for (const [id, status, at] of await dashboard.seen())
        if (status === 'offline' && !known.has(id)) known.set(id, at);
      return known.size >= count;
    },
    100,
  );
  return [...sent].map(([id, at]) => (known.get(id) ?? Number.NaN) - at - TIMEOUT_MS);
}

const early = (values: readonly number[]): number => values.filter((over) => over < 0).length;

async function run({ scale, part, say }: Bench): Promise<Findings> {
  const { agents } = SIZES[scale];
  const peers = new Map<PeerName, Outcome<number[]>>();
  for (const name of NAMES) {
    say(PEERS[name].title);
    peers.set(name, await attempt(() => part((stage) => measure(stage, name, agents))));
  }
  const head = ['ms past the deadline', 'median', 'p99', 'worst', 'too early'];
  const of = (name: PeerName): number[] => {
    const outcome = peers.get(name);
    return outcome && 'ok' in outcome ? outcome.ok : [];
  };
  const none: Aim = {
    aim: 'Rollcall on Redis: none too early',
    measured: of('redis').length > 0 ? String(early(of('redis'))) : 'not measured',
    verdict: of('redis').length === 0 ? 'unknown' : early(of('redis')) === 0 ? 'met' : 'missed',
  };
  return {
    tables: [
      {
        head,
        rows: [...peers].map(([name, outcome]) => {
          const { title } = PEERS[name];
          if ('failed' in outcome) return failedLine(title, outcome.failed, head.length);
          const over = outcome.ok;
          return [
            title,
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
        quantile(of('redis'), 0.99),
        { atMost: 120 },
        ' ms',
        0,
      ),
      none,
    ],
    notes: [
      'The plain hubs hear of it by keyspace notifications of Redis, which come when Redis finds a key expired. The brokers look at keepalives at intervals of their own; MQTT allows that, and 3 s are one and a half times the keepalive of 2 s.',
      'Bare ws and REST are not here: bare ws never notices, and REST tells nobody.',
    ],
    numbers: Object.fromEntries([...peers.keys()].map((name) => [`${name} ms past the deadline`, of(name)])),
  };
}

export const silence: Row = {
  name: 'silence',
  title: 'Detection: silence',
  how: `Agents keep their socket and stop beating, ${SIZES.full.agents} of them, 2 ms apart. From each one's last heartbeat and its timeout of 3 s to the dashboard.`,
  seconds: { full: 105, quick: 95, tiny: 80 },
  run,
};
