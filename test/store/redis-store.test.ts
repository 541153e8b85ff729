import { afterAll, beforeAll } from 'vitest';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { fleetStoreContract } from './fleet-store-contract.ts';
import { redisFleet } from './redis/redis-fleet.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

fleetStoreContract('one Redis', { create: (options) => redisFleet(redis.url, [redis], options) });
