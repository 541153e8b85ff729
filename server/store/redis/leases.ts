import { z } from 'zod';
import type { HubLease } from '../fleet-store.ts';
import type { BadData } from './bad-data.ts';
import { type FleetKeys, quarantineOf } from './keys.ts';
import { QUARANTINE_MS } from './mend.ts';
import type { RedisClient } from './redis-client.ts';
import { type RedisLink, WrongTypeError } from './redis-link.ts';
import { asNumber } from './replies.ts';
import { parsedJson } from './salvage.ts';

const leaseSchema = z.object({
  hubId: z.string(),
  address: z.string(),
  sessions: z.number().nonnegative(),
  version: z.string(),
});

/** How long the list remembers a hub whose lease ended: its key alone says whether the lease stands. */
const FORGET_AFTER_MS = 3_600_000;
/** Hubs that are listed at most: more are no hubs. */
const MOST_HUBS = 10_000;

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
  await withList(link, keys, (client) => client.zadd(keys.hubs, now + ttlMs, lease.hubId));
  await link.run('fleet', (client) => client.zremrangebyscore(keys.hubs, '-inf', now - FORGET_AFTER_MS));
}

export async function dropLease(link: RedisLink, keys: FleetKeys, hubId: string): Promise<void> {
  await link.run('fleet', (client) => client.del(keys.hub(hubId)));
  await link.run('fleet', (client) => client.zrem(keys.hubs, hubId));
}

/** Every lease that stands. What is no lease is passed over. */
export async function readLeases(link: RedisLink, keys: FleetKeys, bad: BadData): Promise<HubLease[]> {
  const hubIds = await withList(link, keys, (client) => client.zrange(keys.hubs, '0', String(MOST_HUBS - 1)));
  const leases = await Promise.all(
    hubIds.map(async (hubId) => {
      const text = await link.run('fleet', (client) => client.get(keys.hub(hubId))).catch(notOfType);
      if (text === null) return undefined;
      const lease = leaseSchema.safeParse(parsedJson(text)).data;
      if (lease?.hubId === hubId) return lease;
      bad.found('lease', keys.hub(hubId));
      return undefined;
    }),
  );
  return leases.filter((lease) => lease !== undefined);
}

/** A key of another type is no lease; anything else is thrown on. */
function notOfType(error: unknown): '' {
  if (error instanceof WrongTypeError) return '';
  throw error;
}

/** Works on the list of hubs; where that is of another type it is put aside, and begun anew. */
async function withList<T>(
  link: RedisLink,
  keys: FleetKeys,
  work: (client: RedisClient) => Promise<T>,
): Promise<T> {
  try {
    return await link.run('fleet', work);
  } catch (error) {
    if (!(error instanceof WrongTypeError)) throw error;
    await putKeyAside(link, keys, keys.hubs);
    return link.run('fleet', work);
  }
}

/** Moves a key of the whole fleet out of the way, where no other hub has done so. */
export async function putKeyAside(link: RedisLink, { keyPrefix }: FleetKeys, key: string): Promise<void> {
  const aside = quarantineOf(keyPrefix, key);
  await link.run('fleet', (client) => client.rename(key, aside)).catch(() => {});
  await link.run('fleet', (client) => client.pexpire(aside, QUARANTINE_MS));
}

/** The store's clock, milliseconds since the epoch. */
async function storeTime(link: RedisLink): Promise<number> {
  const [seconds, micros] = await link.run('fleet', (client) => client.time());
  return asNumber(seconds) * 1_000 + Math.floor(asNumber(micros) / 1_000);
}
