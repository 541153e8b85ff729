import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Fleet } from '../../server/fleet/fleet.ts';
import { LiveSession } from '../../server/fleet/sessions.ts';
import type { Beat } from '../../server/store/fleet-store.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import { CLOSE, SUPERSEDED_BY_ITSELF } from '../../shared/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import {
  registerAgent,
  registerMessage,
  sendStats,
  type TestAgent,
  testFleet,
} from '../support/test-fleet.ts';

describe('a hub vouches for a heartbeat, so that its record need not be looked at', () => {
  let clock: FakeClock;
  let fleet: Fleet;
  let other: Fleet;
  let beats: Beat[];
  let store: FaultyStore;

  beforeEach(async () => {
    clock = new FakeClock();
    const memory = new MemoryFleet(clock, 2);
    store = new FaultyStore(new MemoryStore(memory));
    const { beat } = store;
    store.beat = (shard, some, followed) => {
      beats.push(...some);
      return beat(shard, some, followed);
    };
    beats = [];
    fleet = testFleet(store, clock, 'hub-a');
    other = testFleet(new MemoryStore(memory), clock, 'hub-b');
    await Promise.all([fleet.start(), other.start()]);
    await clock.advance(31_000);
  });
  afterEach(async () => {
    const stops = [fleet.stop(), other.stop()];
    await clock.advance(1);
    await Promise.all(stops);
  });

  const register = async (on = fleet): Promise<TestAgent> => {
    const registered = registerAgent(on, registerMessage({ nodeId: 'a' }));
    await clock.advance(200);
    return registered;
  };
  /** Whether the next heartbeat is confirmed for. */
  const vouches = async ({ session }: TestAgent): Promise<boolean | undefined> => {
    beats.length = 0;
    fleet.heartbeat(session);
    await clock.advance(400);
    expect(beats.length).toBeGreaterThan(0);
    return beats[0]?.confirmed;
  };

  it('from the first one on: its own registration stands in the log', async () => {
    expect(await vouches(await register())).toBe(true);
  });

  it('also after the log told of the node, as long as this session speaks for it', async () => {
    const agent = await register();
    sendStats(fleet, agent.session, { conditions: [{ type: 'disk', status: 'fail' }] });
    await clock.advance(200);
    expect(fleet.view.get('a')?.node.status).toBe('degraded');
    expect(await vouches(agent)).toBe(true);
  });

  it('not where the log calls the node unreachable: the heartbeat brings it back', async () => {
    const agent = await register();
    const record = fleet.view.get('a');
    if (!record) throw new Error('the node is not in view');
    const { link, connection, timing } = agent.session;
    const shard = other.store.shardOf('a');
    const elsewhere = new LiveSession({
      ...{ record, link, connection, timing, shard, askedIntervalMs: undefined },
      now: clock.now(),
    });
    await other.closed(elsewhere, { goodbye: false, code: 1006 });
    await clock.advance(1_000);
    expect(fleet.view.get('a')?.node.status).toBe('unreachable');
    expect(await vouches(agent)).toBe(false);
    expect(fleet.view.get('a')?.node.status).toBe('online');
    expect(await vouches(agent)).toBe(true);
  });

  it('not for all time: every five minutes the record is looked at', async () => {
    const agent = await register();
    const answers: Array<boolean | undefined> = [];
    for (let beat = 0; beat < 61; beat += 1) {
      answers.push(await vouches(agent));
      await clock.advance(9_600);
    }
    expect(answers.filter((confirmed) => confirmed === false)).toHaveLength(2);
  });

  it.each([true, false])(
    '[MOVE-5] a session that is refused before the log told why is said to be superseded by its own agent (%s)',
    async (isOwn) => {
      const { session, link } = await register();
      const { tick } = store;
      store.tick = async (shard, request) => {
        const answer = await tick(shard, request);
        if (answer.kind !== 'news') return answer;
        const { upTo: _, ...news } = answer;
        return { ...news, entries: [], moreLogged: false };
      };
      const again = registerAgent(
        other,
        registerMessage({ nodeId: 'a' }, isOwn ? { instanceId: session.record.instanceId } : {}),
      );
      await clock.advance(200);
      await again;
      fleet.heartbeat(session);
      await clock.advance(400);
      expect(link.ended).toEqual([isOwn ? SUPERSEDED_BY_ITSELF : CLOSE.superseded]);
    },
  );
});
