import { describe } from 'vitest';
import { startSentinelTrio } from '../support/redis-sentinel.ts';
import { until } from '../support/until.ts';
import { failoverTest, freezesPrimary, losesTail, role } from './failing-over.ts';

async function start() {
  const { url, stores, sentinels, stop } = await startSentinelTrio();
  const placeOf = async () => {
    const roles = await Promise.all(stores.map(role));
    const primary = stores[roles.indexOf('master')];
    if (!primary) throw new Error('there is no primary');
    return { primary, replicas: stores.filter((store) => store !== primary) };
  };
  const handOver = () => sentinels[0]?.cli('SENTINEL', 'FAILOVER', 'mymaster');
  return { url, placeOf, handOver, stop };
}

const it = failoverTest(start);

describe.concurrent('a primary with two replicas and three Sentinels, under load', () => {
  it('[FAILOVER-1] it is killed, its last writes with it: nobody who beats is shown otherwise, and what was lost is put back', ({
    redis,
    fleet,
    load,
    key,
  }) => losesTail({ redis, fleet, load, key }));

  it('[FAILOVER-2] it is frozen and comes back as a replica', ({ redis, fleet, load, key }) =>
    freezesPrimary({ redis, fleet, load, key }));

  it('[FAILOVER-4] it is replaced by hand, and what it still took is put back', async ({
    redis,
    load,
    expect,
  }) => {
    const { primary, replicas } = await redis.placeOf();
    expect(await redis.handOver()).toBe('OK');
    await until('a replica has taken over', async () =>
      (await Promise.all(replicas.map(role))).includes('master'),
    );
    await until('the old primary is a replica', async () => (await role(primary)) === 'slave');
    await load.expectWhole();
  });
});
