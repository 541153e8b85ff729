import type { FleetStore } from '../../server/store/fleet-store.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import type { ContractFleet } from './contract/setting.ts';
import { attachAll } from './contract/setting.ts';
import { fleetStoreContract } from './fleet-store-contract.ts';

/** A fleet in memory whose time passes when it is told to. */
async function create(options: { logEntries?: number }): Promise<ContractFleet> {
  let now = Date.UTC(2026, 2, 1, 12);
  const noTimer = () => () => {};
  const fleet = new MemoryFleet(
    { now: () => now, wall: () => now, after: noTimer, every: noTimer, sleep: async () => {} },
    16,
    options.logEntries,
  );
  const stores: FleetStore[] = [];
  return {
    async join() {
      const store = new MemoryStore(fleet);
      stores.push(store);
      await store.open();
      await attachAll(store);
      return store;
    },
    async elapse(ms) {
      now += ms;
    },
    async until(holds) {
      for (let waited = 0; !(await holds()); waited += 5) {
        if (waited > 10_000) throw new Error('it never came to hold');
        now += 5;
      }
    },
    async loseAll() {
      for (const shard of fleet.shards.keys()) fleet.empty(shard);
    },
    async close() {
      for (const store of stores) await store.close();
    },
  };
}

fleetStoreContract('in memory', { create });
