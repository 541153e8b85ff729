import { describe, expect, it } from 'vitest';
import { lostNode, registration, removal, statusChange } from '../../support/fixtures.ts';
import { type CreateFleet, done, freshFleet } from './setting.ts';

/** What hubs share beside the nodes: leases and the doorbell. */
export function hubsContract(create: CreateFleet): void {
  describe('leases', () => {
    const setting = freshFleet(create);
    const lease = (hubId: string, sessions = 0) => ({
      hubId,
      address: '127.0.0.1:8080',
      sessions,
      version: '0.1.0',
    });

    it('stand until they are dropped, as they were last renewed', async () => {
      const { store, fleet } = setting();
      const other = await fleet.join();
      expect(await store.leases()).toEqual([]);
      await store.renewLease(lease('one'), 60_000);
      await other.renewLease(lease('constructor', 3), 60_000);
      await store.renewLease(lease('one', 5), 60_000);
      const held = (await other.leases()).toSorted((a, b) => b.lease.sessions - a.lease.sessions);
      expect(held.map((one) => one.lease)).toEqual([lease('one', 5), lease('constructor', 3)]);
      for (const { leftMs } of held) expect(leftMs).toBeGreaterThan(0);
      for (const { leftMs } of held) expect(leftMs).toBeLessThanOrEqual(60_000);
      await store.dropLease('one');
      await store.dropLease('one');
      expect(await store.leases()).toMatchObject([{ lease: lease('constructor', 3) }]);
    });

    it('end with their time', async () => {
      const { store, fleet } = setting();
      await store.renewLease(lease('brief'), 300);
      await store.renewLease(lease('long'), 60_000);
      expect(await store.leases()).toHaveLength(2);
      await fleet.until(async () => (await store.leases()).length === 1);
      await store.renewLease(lease('brief'), 60_000);
      expect(await store.leases()).toHaveLength(2);
    });
  });

  describe('the count of nodes', () => {
    const setting = freshFleet(create);

    it('is that of all shards, without those that were removed', async () => {
      const { store, fleet } = setting();
      const other = await fleet.join();
      expect(await store.nodeCount()).toBe(0);
      for (const id of ['n-1', 'n-2', 'n-3']) await done(store, registration({ id }));
      await done(store, removal(await done(store, registration({ id: 'n-4' }))));
      expect(await other.nodeCount()).toBe(3);
    });
  });

  describe('the doorbell', () => {
    const setting = freshFleet(create);

    it('rings at every hub for a commit and for a restore, until it is no longer listened to', async () => {
      const { store, fleet } = setting();
      const other = await fleet.join();
      const heard: Array<[string, number]> = [];
      const end = store.onBell((shard) => heard.push(['own', shard]));
      other.onBell((shard) => heard.push(['other', shard]));
      const rings = async (listener: string, id: string) => {
        const shard = store.shardOf(id);
        await fleet.until(async () => heard.some(([who, where]) => who === listener && where === shard));
      };
      const record = await done(store, registration({ id: 'a' }));
      await rings('own', 'a');
      await rings('other', 'a');
      heard.length = 0;
      await store.restore(store.shardOf('b'), [lostNode(registration({ id: 'b' }).record)]);
      await rings('own', 'b');
      await rings('other', 'b');
      end();
      end();
      heard.length = 0;
      await done(other, statusChange(record, { status: 'offline', reason: 'agent_stopped' }));
      await rings('other', 'a');
      expect(heard.filter(([who]) => who === 'own')).toEqual([]);
    });

    it('is silent after close, which may be called twice', async () => {
      const { store, fleet } = setting();
      const other = await fleet.join();
      let rings = 0;
      other.onBell(() => {
        rings += 1;
      });
      await other.close();
      await other.close();
      await done(store, registration({ id: 'a' }));
      expect(rings).toBe(0);
    });
  });
}
