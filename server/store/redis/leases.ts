import { z } from 'zod';
import type { HubLease } from '../fleet-store.ts';
import type { FleetKeys } from './keys.ts';
import type { RedisLink } from './redis-link.ts';
import { asNumber } from './replies.ts';

const leaseSchema = z.object({
  hubId: z.string(),
  address: z.string(),
  sessions: z.number(),
  version: z.string(),
});

/** How long the list remembers a hub whose lease ended: its key alone says whether the lease stands. */
const FORGET_AFTER_MS = 3_600_000;

/** Writes a lease's key, and its hub into the list of hubs, which lies on another node of a Cluster. */
export async function renewLease(
  link: RedisLink,
  keys: FleetKeys,
  lease: HubLease,
  ttlMs: number,
): Promise<void> {
  await link.run('fleet', (client) =>
    client.set(keys.hub(lease.hubId), JSON.stringify(lease), 'PX', Math.max(1, Math.ceil(ttlMs))),
  );
  const now = await storeTime(link);
  await link.run('fleet', (client) => client.zadd(keys.hubs, now + ttlMs, lease.hubId));
  await link.run('fleet', (client) => client.zremrangebyscore(keys.hubs, '-inf', now - FORGET_AFTER_MS));
}

export async function dropLease(link: RedisLink, keys: FleetKeys, hubId: string): Promise<void> {
  await link.run('fleet', (client) => client.del(keys.hub(hubId)));
  await link.run('fleet', (client) => client.zrem(keys.hubs, hubId));
}

/** Every lease that stands. */
export async function readLeases(link: RedisLink, keys: FleetKeys): Promise<HubLease[]> {
  const hubIds = await link.run('fleet', (client) => client.zrange(keys.hubs, '0', '-1'));
  const texts = await Promise.all(
    hubIds.map((hubId) => link.run('fleet', (client) => client.get(keys.hub(hubId)))),
  );
  return texts.filter((text) => text !== null).map((text) => leaseSchema.parse(JSON.parse(text)));
}

/** The store's clock, milliseconds since the epoch. */
async function storeTime(link: RedisLink): Promise<number> {
  const [seconds, micros] = await link.run('fleet', (client) => client.time());
  return asNumber(seconds) * 1_000 + Math.floor(asNumber(micros) / 1_000);
}
