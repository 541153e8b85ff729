import { setTimeout as pause } from 'node:timers/promises';
import { sharedNow, until } from '../harness/processes.ts';
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
import { PEERS, type PeerName } from '../peers/catalogue.ts';
import { summaryOf } from './storm.ts';

const SIZES = { full: { agents: 10_000 }, quick: { agents: 2_000 }, tiny: { agents: 60 } };
const HUBS = 3;
const TIMING = { intervalMs: 10_000, timeoutMs: 30_000 };
const GIVE_UP_MS = 40_000;
const NAMES: PeerName[] = ['redis', 'plain-ws', 'plain-socket-io'];

interface TakeOver {
  to99: number;
  to100: number;
  /** Changes to anything but `online` that a dashboard of a hub that lives was told of. */
  toldLost: number;
  /** Only of Rollcall: what its view says afterwards, and status events in its log. */
  online?: number;
  statusEvents?: number;
}

async function measure(stage: Stage, name: PeerName, agents: number): Promise<TakeOver> {
  const { peer, server, redis } = await stage.peer(name, TIMING);
  if (!peer.dashboard) throw new Error('nobody can watch it');
  const servers = [server];
  while (servers.length < HUBS) servers.push(await stage.server(peer, { redisUrl: redis?.url, ...TIMING }));
  const ports = servers.map(({ port }) => port);
  const loads: Load[] = [];
  for (const [index, port] of ports.entries()) {
    const load = await stage.load();
    await load.connect({ dialect: peer.dialect, ports: [port], count: agents, prefix: `node-${index}` });
    loads.push(load);
  }
  const dashboard = await stage.load();
  const other = ports[1] ?? 0;
  await dashboard.dashboards({ dialect: peer.dashboard, port: other, count: 1, watch: 'names' });
  for (const load of loads) await load.tell({ do: 'ping-all' });
  await pause(1_500);
  await dashboard.seen(true);
  const [lost] = loads;
  if (!lost) throw new Error('there is no load');
  await lost.tell({ do: 'jitter', ports, ceilingMs: TIMING.timeoutMs / 6 });
  const killedAt = sharedNow();
  await server.kill();
  let back = await lost.returned();
  await until(
    `all agents of ${peer.title} are elsewhere`,
    GIVE_UP_MS,
    async () => {
      back = await lost.returned();
      return back.lost >= agents && back.joined >= agents;
    },
    100,
  );
  await pause(1_000);
  const toldLost = (await dashboard.seen()).filter(([, status]) => status !== 'online').length;
  const found = { to99: back.at99 - killedAt, to100: back.lastAt - killedAt, toldLost };
  if (name !== 'redis' || !redis) return found;
  const { status } = await summaryOf(other);
  return {
    ...found,
    online: status.online ?? 0,
    statusEvents: await redis.eventsWith('"type":"status"'),
  };
}

function aimsOf(found: TakeOver | undefined, all: number): Aim[] {
  const exactly = (aim: string, value: number | undefined, wanted: number): Aim => ({
    aim,
    measured: value === undefined ? 'not measured' : figure(value),
    verdict: value === undefined ? 'unknown' : value === wanted ? 'met' : 'missed',
  });
  return [
    judge(
      'Rollcall on Redis: all agents of the killed hub online elsewhere, at most 6 s',
      (found?.to100 ?? Number.NaN) / 1_000,
      { atMost: 6 },
      ' s',
    ),
    exactly('Rollcall on Redis: status changes in the log', found?.statusEvents, 0),
    exactly('Rollcall on Redis: nodes online afterwards', found?.online, all),
  ];
}

async function run({ scale, part, say }: Bench): Promise<Findings> {
  const { agents } = SIZES[scale];
  const peers = new Map<PeerName, Outcome<TakeOver>>();
  const names = peersFor(scale, NAMES, ['redis']);
  for (const name of names) {
    say(PEERS[name].title);
    peers.set(name, await attempt(() => part((stage) => measure(stage, name, agents))));
  }
  const head = ['peer', 'to 99 %, s', 'to all, s', 'told as lost', 'status events', 'online afterwards'];
  const redis = peers.get('redis');
  return {
    tables: [
      {
        head,
        rows: peerLines(peers, head.length, ({ to99, to100, toldLost, statusEvents, online }) => {
          return [
            figure(to99 / 1_000, 2),
            figure(to100 / 1_000, 2),
            figure(toldLost),
            figure(statusEvents ?? Number.NaN),
            figure(online ?? Number.NaN),
          ];
        }),
      },
    ],
    aims: aimsOf(redis && 'ok' in redis ? redis.ok : undefined, agents * HUBS),
    notes: [
      ...leftOut(NAMES, names),
      `The agents of the killed hub have all ${HUBS} hubs in their list, the dead one too, and come back with the agent's own backoff: full jitter up to 1 s, 2 s, 4 s, at most a sixth of the timeout.`,
      'Not here: bare ws, mosquitto and aedes, which share nothing between processes, so there is nobody to take over; REST, which has no connection to lose.',
    ],
    numbers: Object.fromEntries(
      [...peers].flatMap(([name, outcome]) =>
        'ok' in outcome ? [[`${name} to 99 % and all, ms`, [outcome.ok.to99, outcome.ok.to100]]] : [],
      ),
    ),
  };
}

export const takeover: Row = {
  name: 'takeover',
  title: 'Take-over',
  how: `${HUBS} hubs on one Redis with ${figure(SIZES.full.agents)} agents each; one is killed (SIGKILL). From the kill to the registration of its agents at the others, and what the fleet was told meanwhile. All hubs share one core.`,
  seconds: { full: 75, quick: 20, tiny: 50 },
  run,
};
