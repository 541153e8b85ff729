import { setTimeout as pause } from 'node:timers/promises';
import type { PeerServer } from '../peers/catalogue.ts';
import { cpuMicros } from './processes.ts';
import type { BenchRedis, Load } from './stage.ts';
import { Histogram } from './statistics.ts';

/** One window of heartbeats. */
export interface Window {
  perSecond: number;
  answered: number;
  /** CPU of the servers, and of Redis, for each answered heartbeat. */
  hubMicros: number;
  redisMicros: number;
  p50: number;
  p99: number;
  /** Shares of one core, 0 to 1 and above where there are several. */
  hubShare: number;
  redisShare: number;
  loadShare: number;
  late: number;
  lost: number;
  underWay: number;
}

/** From this share of its core on, the load (with Redis beside it) is what was measured. */
const LOAD_BOUND = 0.95;

export const isLoadBound = ({ loadShare, redisShare }: Pick<Window, 'loadShare' | 'redisShare'>): boolean =>
  loadShare + redisShare > LOAD_BOUND;

export interface Measured {
  loads: readonly Load[];
  servers: readonly PeerServer[];
  redis?: BenchRedis | undefined;
}

const cpuOf = (servers: readonly PeerServer[]): number =>
  servers.reduce((sum, { pid }) => sum + cpuMicros(pid), 0);

/** What loads that are under way get answered in so many milliseconds, and what it costs. */
export async function measureWindow({ loads, servers, redis }: Measured, windowMs: number): Promise<Window> {
  await Promise.all(loads.map((load) => load.tell({ do: 'mark' })));
  const hubBefore = cpuOf(servers);
  const redisBefore = redis?.cpuMicros() ?? 0;
  const at = performance.now();
  await pause(windowMs);
  const readings = await Promise.all(loads.map((load) => load.read()));
  const micros = (performance.now() - at) * 1_000;
  const hub = cpuOf(servers) - hubBefore;
  const redisUsed = (redis?.cpuMicros() ?? 0) - redisBefore;
  const latency = new Histogram();
  for (const reading of readings) latency.merge(reading.latency);
  const sum = (pick: (reading: (typeof readings)[number]) => number): number =>
    readings.reduce((total, reading) => total + pick(reading), 0);
  const answered = sum((reading) => reading.answered);
  return {
    perSecond: sum((reading) => reading.answered / (reading.ms / 1_000)),
    answered,
    hubMicros: hub / answered,
    redisMicros: redisUsed / answered,
    p50: latency.quantile(0.5),
    p99: latency.quantile(0.99),
    hubShare: hub / micros,
    redisShare: redisUsed / micros,
    loadShare: sum((reading) => reading.cpuMicros) / micros,
    late: sum((reading) => reading.late),
    lost: sum((reading) => reading.lost),
    underWay: sum((reading) => reading.underWay),
  };
}

/** What servers that nobody asks anything use of their core: ticks, leases, timers. */
export async function restShare(servers: readonly PeerServer[], windowMs: number): Promise<number> {
  const before = cpuOf(servers);
  const at = performance.now();
  await pause(windowMs);
  return (cpuOf(servers) - before) / ((performance.now() - at) * 1_000);
}

export const percent = (share: number): string => `${Math.round(share * 100)} %`;
