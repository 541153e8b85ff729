import { expect, it } from 'vitest';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { registerAgent, registerMessage, testFleet } from '../support/test-fleet.ts';

it('[LOSS-9] a node that registers again when its tombstone has ended is a new one, and is shown', async () => {
  const clock = new FakeClock();
  const memory = new MemoryFleet(clock, 4);
  const fleets = ['hub-a', 'hub-b'].map((hubId) => testFleet(new MemoryStore(memory), clock, hubId));
  await Promise.all(fleets.map((fleet) => fleet.start()));
  const [fleet, other] = fleets;
  if (!fleet || !other) throw new Error('no hubs');
  const { session } = await registerAgent(fleet, registerMessage({ nodeId: 'a' }));
  await fleet.deregister(session);
  clock.jump(25 * 3_600_000);
  await clock.advance(60_000);
  const again = registerAgent(fleet, registerMessage({ nodeId: 'a' }));
  await clock.advance(2_000);
  const { reply } = await again;
  expect(reply.node.seq).toBe(1);
  expect([fleet, other].map(({ view }) => view.get('a')?.node.status)).toEqual(['online', 'online']);
  await clock.advance(1);
  await Promise.all(fleets.map((each) => each.stop()));
});
