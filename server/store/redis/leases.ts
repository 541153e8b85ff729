import { z } from 'zod';
import type { Clock } from '../../runtime/clock.ts';
import type { HeldLease, HubLease } from '../fleet-store.ts';
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
  sessions: z.number(),
  version: z.string(),
});

/**
 * How long the list keeps a hub whose lease ended, by this hub's clock: only its key shows whether the lease is valid.
 */
const FORGET_AFTER_MS = 3_600_000;
/** The most hubs in the list: more cannot be hubs. */
const MOST_HUBS = 10_000;

/**
 * The leases of all hubs: a key each, whose TTL ends it, and a list, which is on another node of a Cluster. The times
 * in the list prove nothing: the store's clock may have been set since.
 */
export class Leases {
  readonly #link: RedisLink;
  readonly #keys: FleetKeys;
  readonly #clock: Clock;
  readonly #bad: BadData;
  /** For hubs in the list without a lease, the hub time since when. */
  readonly #missingSince = new Map<string, number>();

  constructor(link: RedisLink, keys: FleetKeys, { clock, bad }: { clock: Clock; bad: BadData }) {
    this.#link = link;
    this.#keys = keys;
    this.#clock = clock;
    this.#bad = bad;
  }

  async renew(lease: HubLease, ttlMs: number): Promise<void> {
    const { hubId } = lease;
    await this.#link.run('fleet', (client) =>
      client.set(this.#keys.hub(hubId), JSON.stringify(lease), 'PX', Math.max(1, Math.ceil(ttlMs))),
    );
    const [seconds] = await this.#link.run('fleet', (client) => client.time());
    const endsAt = asNumber(seconds) * 1_000 + ttlMs;
    await this.#withList((client) => client.zadd(this.#keys.hubs, endsAt, hubId));
    await this.#forget();
  }

  async drop(hubId: string): Promise<void> {
    await this.#link.run('fleet', (client) => client.del(this.#keys.hub(hubId)));
    await this.#link.run('fleet', (client) => client.zrem(this.#keys.hubs, hubId));
  }

  /** Every valid lease. Other values are skipped. */
  async read(): Promise<HeldLease[]> {
    const hubIds = await this.#listed();
    const found = await Promise.all(hubIds.map((hubId) => this.#read(hubId)));
    const now = this.#clock.now();
    for (const [index, hubId] of hubIds.entries()) {
      if (found[index]) this.#missingSince.delete(hubId);
      else if (!this.#missingSince.has(hubId)) this.#missingSince.set(hubId, now);
    }
    return found.filter((lease) => lease !== undefined);
  }

  /** No lease lasts longer than this: after the store's clock was set back they would. */
  async settle(longestMs: number): Promise<void> {
    const ttlMs = Math.max(1, Math.ceil(longestMs));
    await Promise.all(
      (await this.#listed()).map((hubId) =>
        this.#link.run('fleet', (client) => client.pexpire(this.#keys.hub(hubId), ttlMs, 'LT')),
      ),
    );
  }

  #listed(): Promise<string[]> {
    return this.#withList((client) => client.zrange(this.#keys.hubs, '0', String(MOST_HUBS - 1)));
  }

  /** Runs work on the list of hubs; a key of another type is put aside, and the list begins anew. */
  async #withList<T>(work: (client: RedisClient) => Promise<T>): Promise<T> {
    try {
      return await this.#link.run('fleet', work);
    } catch (error) {
      if (!(error instanceof WrongTypeError)) throw error;
      await putKeyAside(this.#link, this.#keys, { key: this.#keys.hubs, bad: this.#bad });
      return this.#link.run('fleet', work);
    }
  }

  async #read(hubId: string): Promise<HeldLease | undefined> {
    const key = this.#keys.hub(hubId);
    const [text, leftMs] = await Promise.all([
      this.#link.run('fleet', (client) => client.get(key)).catch(notOfType),
      this.#link.run('fleet', (client) => client.pttl(key)),
    ]);
    if (text === null) return undefined;
    const lease = leaseSchema.safeParse(parsedJson(text)).data;
    if (lease?.hubId === hubId) return { lease, leftMs: Math.max(0, leftMs) };
    this.#bad.found('lease', key);
    return undefined;
  }

  async #forget(): Promise<void> {
    const before = this.#clock.now() - FORGET_AFTER_MS;
    for (const [hubId, since] of this.#missingSince) {
      if (since > before) continue;
      this.#missingSince.delete(hubId);
      await this.#link.run('fleet', (client) => client.zrem(this.#keys.hubs, hubId));
    }
  }
}

/** A key of another type is no lease; any other error is rethrown. */
function notOfType(error: unknown): '' {
  if (error instanceof WrongTypeError) return '';
  throw error;
}

/** Moves a key of the whole fleet aside, unless another hub has done so. */
export async function putKeyAside(
  link: RedisLink,
  { keyPrefix }: FleetKeys,
  { key, bad }: { key: string; bad: BadData },
): Promise<void> {
  const aside = quarantineOf(keyPrefix, key);
  await link
    .run('fleet', (client) => client.rename(key, aside))
    .then(
      () => bad.found('key', key),
      () => {},
    );
  await link.run('fleet', (client) => client.pexpire(aside, QUARANTINE_MS));
}
