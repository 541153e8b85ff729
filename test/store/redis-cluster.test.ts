import { afterAll, beforeAll } from 'vitest';
import { type RedisCluster, startCluster } from '../support/redis-cluster.ts';
import { fleetStoreContract } from './fleet-store-contract.ts';
import { redisFleet } from './redis/redis-fleet.ts';

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await startCluster(3);
});
afterAll(() => cluster.stop());

fleetStoreContract('a Redis Cluster of three', {
  create: (options) => redisFleet(cluster.url, cluster.nodes, options),
});
