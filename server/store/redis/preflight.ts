import { StoreRefusedError } from '../fleet-store.ts';
import { SLOTS } from '../shards.ts';
import type { BadData } from './bad-data.ts';
import type { FleetKeys } from './keys.ts';
import { putKeyAside } from './leases.ts';
import { type RedisLink, type StoreLogger, WrongTypeError } from './redis-link.ts';
import { asList } from './replies.ts';
import { readVersion } from './salvage.ts';

/** The format of the keys. A hub refuses a fleet with another format. */
const KEY_FORMAT = '1';
const MOST_SHARDS = 1_024;
const OLDEST_MAJOR = 7;

/** Throws `StoreRefusedError` for an impossible number of shards. */
export function checkShards(shards: number): void {
  if (!Number.isInteger(shards) || shards < 1 || shards > MOST_SHARDS || SLOTS % shards !== 0)
    throw new StoreRefusedError(`SHARDS (${shards}) must be a power of two up to ${MOST_SHARDS}`);
}

/** Throws `StoreRefusedError` for an impossible prefix: braces would be taken for a slot's hash tag. */
export function checkKeyPrefix(keyPrefix: string): void {
  if (!/^[A-Za-z0-9._:-]{1,64}$/.test(keyPrefix))
    throw new StoreRefusedError(`KEY_PREFIX (${keyPrefix}) must be letters, digits and ._:-, 64 at most`);
}

const infoField = (info: string, name: string): string | undefined =>
  new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];

/** Throws `StoreRefusedError` if a server's `INFO server` reports an old Redis, or the wrong mode. */
export function checkServer(info: string, asCluster: boolean): void {
  const version = infoField(info, 'redis_version') ?? '';
  if (Number.parseInt(version, 10) < OLDEST_MAJOR)
    throw new StoreRefusedError(`Redis ${version} is too old: Rollcall needs Redis 7.0 or later, or Valkey`);
  if (infoField(info, 'redis_mode') === 'cluster' && !asCluster)
    throw new StoreRefusedError(
      'REDIS_URL names one node of a Redis Cluster: list its nodes, separated by commas (a comma after one is enough)',
    );
}

/** The claim of a hub to the key prefix, found or made: the older claim wins. */
export interface Claim {
  /** When the prefix was claimed first, milliseconds since the epoch. */
  claimedAt: number;
}

/**
 * Claims the key prefix for this key format and this number of shards, or finds it claimed for them already. A hub with
 * an older claim than the stored one writes its own again: the store lost it, and another fleet claimed the prefix
 * meanwhile. Throws `StoreRefusedError` if the prefix is another's.
 */
export async function claimFormat(
  link: RedisLink,
  keys: FleetKeys,
  parts: { held: Claim | undefined; now: number; logger: StoreLogger | undefined; bad: BadData },
): Promise<Claim> {
  const { held, now, logger, bad } = parts;
  const shards = String(keys.shards.length);
  const fields = [
    ['format', KEY_FORMAT],
    ['shards', shards],
    ['claimedAt', String(held?.claimedAt ?? now)],
  ] as const;
  const [format, storedShards, stored] = await readClaim(link, keys, { fields, bad });
  const claimedAt = readVersion(stored);
  if (format === KEY_FORMAT && storedShards === shards) return { claimedAt: claimedAt ?? now };
  // At the same time it is our own, of which other fields were overwritten.
  if (held && held.claimedAt <= (claimedAt ?? Number.POSITIVE_INFINITY)) {
    const claim = { format: KEY_FORMAT, shards, claimedAt: String(held.claimedAt) };
    await link.run('fleet', (client) => client.hset(keys.meta, claim));
    logger?.warn(
      { key: keys.meta, shards: storedShards, format },
      'Another hub, or somebody by hand, overwrote the claim to the keys of this fleet; claimed them back',
    );
    return held;
  }
  if (format !== KEY_FORMAT)
    throw new StoreRefusedError(
      `${keys.meta} has key format ${format}, this version of Rollcall uses ${KEY_FORMAT}`,
    );
  throw new StoreRefusedError(`SHARDS (${shards}) must be ${storedShards}, with which ${keys.meta} was made`);
}

/** The stored fields, each written first if it was absent. */
async function readClaim(
  link: RedisLink,
  keys: FleetKeys,
  { fields, bad }: { fields: ReadonlyArray<readonly [name: string, value: string]>; bad: BadData },
): Promise<unknown[]> {
  const claim = () =>
    link.pipeline('fleet', (pipeline) => {
      for (const [name, value] of fields) pipeline.hsetnx(keys.meta, name, value);
      pipeline.hmget(keys.meta, ...fields.map(([name]) => name));
    });
  const replies = await claim().catch(async (error: unknown) => {
    if (!(error instanceof WrongTypeError)) throw error;
    await putKeyAside(link, keys, { key: keys.meta, bad });
    return claim();
  });
  return asList(replies.at(-1));
}

/** Warns of settings under which Redis may drop heartbeats or lose the fleet. */
export async function warnOfSettings(link: RedisLink, logger: StoreLogger): Promise<void> {
  const infos = await link.onEveryMaster(async (client) => {
    const memory = await client.info('memory');
    const persistence = await client.info('persistence');
    // Some hosts forbid CONFIG; then save points are unknown, and there is no warning.
    const save = await client.config('GET', 'save').catch(() => undefined);
    return { memory, persistence, save };
  });
  const policy = infos
    .map(({ memory }) => infoField(memory, 'maxmemory_policy'))
    .find((it) => it !== 'noeviction');
  if (policy !== undefined)
    logger.warn({ policy }, 'Redis may evict heartbeats: set maxmemory-policy noeviction');
  const forgets = infos.some(
    ({ persistence, save }) =>
      infoField(persistence, 'aof_enabled') === '0' && Array.isArray(save) && save[1] === '',
  );
  if (forgets) logger.warn({}, 'Redis keeps nothing on disk: set appendonly yes, or save points');
}
