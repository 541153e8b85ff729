import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Fleet } from '../../server/fleet/fleet.ts';
import { silentLog } from '../../server/runtime/log.ts';
import type { Beat } from '../../server/store/fleet-store.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { registerAgent, registerMessage } from '../support/test-fleet.ts';

interface Written {
  at: number;
  beat: Beat;
}

describe('heartbeats on their way to the store', () => {
  let clock: FakeClock;
  let written: Written[];
  let fleet: Fleet | undefined;

  beforeEach(() => {
    clock = new FakeClock();
    written = [];
  });
  afterEach(async () => {
    const stopped = fleet?.stop();
    await clock.advance(1);
    await stopped;
  });

  /** A registered agent of a hub with this timeout. */
  async function agentOf(timeoutMs: number) {
    const store = new FaultyStore(new MemoryStore(new MemoryFleet(clock, 2)));
    const { beat } = store;
    store.beat = (shard, some, followed) => {
      written.push(...some.map((one) => ({ at: clock.now(), beat: one })));
      return beat(shard, some, followed);
    };
    fleet = new Fleet({
      ...{ hubId: 'hub-a', address: '127.0.0.1:0', version: 'test', store, clock, log: silentLog },
      timing: { intervalMs: Math.ceil(timeoutMs / 3), timeoutMs },
    });
    await fleet.start();
    const registered = registerAgent(fleet, registerMessage({ nodeId: 'n' }));
    await clock.advance(1_000);
    const { session } = await registered;
    return { hub: fleet, session };
  }

  it.each([
    ['10 min', 600_000, 500],
    ['30 s', 30_000, 300],
    ['3 s', 3_000, 100],
  ])(
    '[HB-7] with a timeout of %s all that come in time are one write, of the newest',
    async (_name, timeoutMs, flushMs) => {
      const { hub, session } = await agentOf(timeoutMs);
      const from = clock.now();
      for (let beats = 0; beats < 100; beats += 1) {
        hub.heartbeat(session);
        await clock.advance(50);
      }
      const waits = written.map(({ at }, index) => at - (written[index - 1]?.at ?? from));
      expect(Math.max(...waits)).toBeLessThanOrEqual(flushMs);
      expect(written.length).toBeLessThanOrEqual(5_000 / flushMs + 1);
    },
  );

  it('[HB-7] are written with what is left of the timeout', async () => {
    const { hub, session } = await agentOf(30_000);
    const beatAt = clock.now();
    hub.heartbeat(session);
    await clock.advance(400);
    expect(written.map(({ at, beat }) => at + beat.ttlMs)).toEqual([beatAt + 30_000]);
  });
});
