import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { type Clock, systemClock } from '../../server/runtime/clock.ts';
import type { FleetStore } from '../../server/store/fleet-store.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import { fleetKeys } from '../../server/store/redis/keys.ts';
import { RedisStore } from '../../server/store/redis/redis-store.ts';
import type { HeartbeatTiming } from '../../shared/index.ts';
import { budget } from '../support/budget.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { TIMING } from '../support/test-fleet.ts';

/** Where a model runs: its time, and the store that all its hubs share. */
export interface World {
  readonly clock: Clock;
  /** Whether everything is done at the moment when it is due. */
  readonly exact: boolean;
  readonly timing: HeartbeatTiming;
  /** With the model's few agents the interval is the shortest; a crowd beside them makes it longer. */
  readonly pace: { longestMs: number; perSecond: number };
  /** How long a stretch of the model is here: the model is written for a timeout of 30 s. */
  stretch(ms: number): number;
  /** Lets so much of the model's time pass. */
  pass(ms: number): Promise<void>;
  newStore(): Promise<FleetStore>;
  loseData(shard: number): Promise<void>;
}

/** Four agents need 0.8 of the interval, twelve 2.4 of it. */
const paceOf = ({ intervalMs }: HeartbeatTiming) => ({
  longestMs: 4 * intervalMs,
  perSecond: 5_000 / intervalMs,
});

/** A fake clock and the memory store: hours in milliseconds, and every failure can be run again. */
export function memoryWorld(shards: number): World {
  const clock = new FakeClock();
  const memory = new MemoryFleet(clock, shards);
  return {
    clock,
    exact: true,
    timing: TIMING,
    pace: paceOf(TIMING),
    stretch: (ms) => ms,
    pass: (ms) => clock.advance(ms),
    newStore: async () => new MemoryStore(memory),
    loseData: async (shard) => memory.empty(shard),
  };
}

/** A real Redis and real time, with timeouts of 1.5 s on a quiet machine and 4.5 s at most: all its time passes in them. */
export function redisWorld(redis: RedisServer, shards: number): World {
  const intervalMs = Math.min(budget(500), 1_500);
  const timing = { intervalMs, timeoutMs: 3 * intervalMs };
  const keyPrefix = `model${randomBytes(4).toString('hex')}`;
  const keys = fleetKeys(keyPrefix, shards);
  const stretch = (ms: number): number => Math.ceil((ms * timing.timeoutMs) / TIMING.timeoutMs);
  return {
    clock: systemClock,
    exact: false,
    timing,
    pace: paceOf(timing),
    stretch,
    pass: (ms) => pause(stretch(ms)),
    newStore: async () => {
      const store = new RedisStore({ url: redis.url, clock: systemClock, keyPrefix, shards });
      await store.open();
      return store;
    },
    loseData: async (shard) => {
      const prefix = keys.shards[shard]?.prefix ?? '';
      const lost = await redis.cli('KEYS', `${prefix.replace(/[{}]/g, '?')}*`);
      if (lost !== '') await redis.cli('DEL', ...lost.split('\n'));
    },
  };
}
