import { StoreRefusedError } from '../fleet-store.ts';
import { SLOTS } from '../shards.ts';
import type { FleetKeys } from './keys.ts';
import type { RedisLink, StoreLogger } from './redis-link.ts';
import { asList } from './replies.ts';

/** The format of the keys. A hub refuses a fleet whose keys are of another. */
const KEY_FORMAT = '1';
const MOST_SHARDS = 1_024;
const OLDEST_MAJOR = 7;

/** Throws `StoreRefusedError` where so many shards cannot be made. */
export function checkShards(shards: number): void {
  if (!Number.isInteger(shards) || shards < 1 || shards > MOST_SHARDS || SLOTS % shards !== 0)
    throw new StoreRefusedError(`SHARDS (${shards}) must be a power of two up to ${MOST_SHARDS}`);
}

/** Throws `StoreRefusedError` where keys cannot begin so: braces would be taken for a slot's hash tag. */
export function checkKeyPrefix(keyPrefix: string): void {
  if (!/^[A-Za-z0-9._:-]{1,64}$/.test(keyPrefix))
    throw new StoreRefusedError(`KEY_PREFIX (${keyPrefix}) must be letters, digits and ._:-, 64 at most`);
}

const infoField = (info: string, name: string): string | undefined =>
  new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];

/** Throws `StoreRefusedError` where a server's `INFO server` names a Redis that is too old, or the wrong mode. */
export function checkServer(info: string, asCluster: boolean): void {
  const version = infoField(info, 'redis_version') ?? '';
  if (Number.parseInt(version, 10) < OLDEST_MAJOR)
    throw new StoreRefusedError(`Redis ${version} is too old: Rollcall needs Redis 7.0 or later, or Valkey`);
  if (infoField(info, 'redis_mode') === 'cluster' && !asCluster)
    throw new StoreRefusedError(
      'REDIS_URL names one node of a Redis Cluster: list its nodes, separated by commas (a comma after one is enough)',
    );
}

/**
 * Claims the key prefix for this key format and this many shards, or finds it claimed for them already.
 * Throws `StoreRefusedError` where it is another's.
 */
export async function claimFormat(link: RedisLink, keys: FleetKeys): Promise<void> {
  const shards = String(keys.shards.length);
  const replies = await link.pipeline('fleet', (pipeline) => {
    pipeline.hsetnx(keys.meta, 'format', KEY_FORMAT);
    pipeline.hsetnx(keys.meta, 'shards', shards);
    pipeline.hmget(keys.meta, 'format', 'shards');
  });
  const [format, storedShards] = asList(replies[2]);
  if (format !== KEY_FORMAT)
    throw new StoreRefusedError(
      `${keys.meta} has key format ${format}, this version of Rollcall uses ${KEY_FORMAT}`,
    );
  if (storedShards !== shards)
    throw new StoreRefusedError(
      `SHARDS (${shards}) must be ${storedShards}, with which ${keys.meta} was made`,
    );
}

/** Warns of settings under which Redis may drop heartbeats or forget the fleet. */
export async function warnOfSettings(link: RedisLink, logger: StoreLogger): Promise<void> {
  const infos = await link.onEveryMaster(async (client) => {
    const memory = await client.info('memory');
    const persistence = await client.info('persistence');
    // Some hosts forbid CONFIG; then nothing is known of save points, and nothing said of them.
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
