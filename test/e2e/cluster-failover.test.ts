import { setTimeout as passes } from 'node:timers/promises';
import { describe } from 'vitest';
import { budget } from '../support/budget.ts';
import { startCluster } from '../support/redis-cluster.ts';
import { holderOf, SlotMove } from '../support/slot-move.ts';
import { until } from '../support/until.ts';
import { failoverTest, freezesPrimary, losesTail, role } from './failing-over.ts';

async function start() {
  const cluster = await startCluster(3, { replicasPerMaster: 1, nodeTimeoutMs: budget(1_000) });
  const { url, nodes, replicas, stop } = cluster;
  const placeOf = async (key: string) => {
    const primary = await holderOf(key, [...nodes, ...replicas]);
    const replica = replicas[nodes.indexOf(primary)];
    if (!replica) throw new Error('a replica has taken over before its time');
    return { primary, replicas: [replica] };
  };
  return { url, masters: nodes, placeOf, stop };
}

const it = failoverTest(start);

describe.concurrent('a Redis Cluster of three primaries with a replica each, under load', () => {
  it('[FAILOVER-1] a primary is killed, its last writes with it: nobody who beats is shown otherwise, and what was lost is put back', ({
    redis,
    fleet,
    load,
    key,
  }) => losesTail({ redis, fleet, load, key }));

  it('[FAILOVER-2] a primary is frozen and comes back as a replica', ({ redis, fleet, load, key }) =>
    freezesPrimary({ redis, fleet, load, key }));

  it('[FAILOVER-3] a primary hands over by hand, then a slot moves on: nothing is lost', async ({
    redis,
    load,
    key,
    expect,
  }) => {
    const { primary, replicas } = await redis.placeOf(key);
    const [successor = primary] = replicas;
    await successor.cli('CLUSTER', 'FAILOVER');
    await until('the replica has taken over', async () => (await role(successor)) === 'master');
    await until('the old primary is a replica', async () => (await role(primary)) === 'slave');
    const target = redis.masters.find((master) => master !== primary) ?? primary;
    const move = await SlotMove.begin(key, successor, target);
    // What names the data set and the log first, and then the nodes a few at a time: the worst order.
    await move.move((await move.left()).filter((name) => !/:(node|beat|gone):/.test(name)));
    for (let keys = await move.left(); keys.length > 0; keys = await move.left()) {
      await move.move(keys.slice(0, 5));
      await passes(20);
    }
    await move.finish([successor, ...redis.masters.filter((master) => master !== primary)]);
    await load.expectWhole();
    expect(load.dashboard.resyncs).toBe(0);
    for (const { log } of load.hubs) {
      expect(log.map(({ msg }) => msg)).not.toContain('Put back what the store had lost');
      expect(log.map(({ msg }) => msg)).not.toContain(
        'The store lost the session of a connected node; putting it back',
      );
    }
  });
});
