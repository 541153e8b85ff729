import fc from 'fast-check';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { live, replay, SHARDS, step } from './model.ts';
import { redisWorld } from './world.ts';

/** Each mostly waits, and so do all at once. */
const RUNS = Number(process.env.MODEL_REDIS_RUNS ?? 4);

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

describe.concurrent('the fleet, whatever happens, on a real Redis', () => {
  it.for(Array.from({ length: RUNS }, (_, run) => run + 1))(
    '[MODEL-2] keeps the same in real time (history %i)',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 15, maxLength: 30, size: 'max' }), (steps) =>
          live(redisWorld(redis, SHARDS), steps),
        ),
        // Real time cannot be run again: shrinking would take long and find something else.
        { numRuns: 1, endOnFailure: true, ...replay() },
      );
    },
  );
});
