import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../../server/runtime/clock.ts';
import { RedisStore, type RedisStoreOptions } from '../../../server/store/redis/redis-store.ts';
import { budget } from '../../support/budget.ts';
import type { RedisServer } from '../../support/redis-server.ts';
import { attachAll, type ContractFleet } from '../contract/setting.ts';

let prefixes = 0;

/** A key prefix that no other test uses. */
export function freshPrefix(): string {
  prefixes += 1;
  return `t${process.pid}-${prefixes}`;
}

/** Polls until something holds. */
export async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  const began = performance.now();
  while (!(await holds())) {
    if (performance.now() - began > budget(20_000)) throw new Error('it never came to hold');
    await sleep(5);
  }
}

/** A store that is open and attached to every shard. */
export async function openStore(options: Omit<RedisStoreOptions, 'clock'>): Promise<RedisStore> {
  const store = new RedisStore({ clock: systemClock, ...options });
  await store.open();
  await attachAll(store);
  return store;
}

/** A fleet under a prefix of its own, in servers that the tests started. */
export async function redisFleet(
  url: string,
  servers: readonly RedisServer[],
  options: { logEntries?: number },
): Promise<ContractFleet> {
  const keyPrefix = freshPrefix();
  const stores: RedisStore[] = [];
  return {
    async join() {
      const store = await openStore({ url, keyPrefix, ...options });
      stores.push(store);
      return store;
    },
    async elapse(ms) {
      const end = Date.now() + ms;
      await until(() => Date.now() > end);
    },
    until,
    async loseAll() {
      await Promise.all(servers.map((server) => server.cli('FLUSHALL')));
    },
    async close() {
      await Promise.all(stores.map((store) => store.close()));
    },
  };
}
