import { expect, it } from 'vitest';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { registerAgent, registerMessage, testFleet } from '../support/test-fleet.ts';

/** A look at the embedded store is over within fewer turns of the microtask queue. */
const TURNS_OF_A_LOOK = 60;

it('reads a change at once, at whatever moment of a look at the store it was written', async () => {
  const clock = new FakeClock();
  const memory = new MemoryFleet(clock);
  const fleet = testFleet(new MemoryStore(memory), clock);
  await fleet.start();
  for (let turns = 0; turns < TURNS_OF_A_LOOK; turns += 1) {
    const registered = ['a', 'b'].map((name) =>
      registerAgent(fleet, registerMessage({ nodeId: `${name}-${turns}` })),
    );
    await clock.settle();
    const [first, second] = await Promise.all(registered);
    if (!first || !second) throw new Error('two agents are registered');
    const closes = [fleet.closed(first.session, { goodbye: true, code: 1000 })];
    for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
    closes.push(fleet.closed(second.session, { goodbye: true, code: 1000 }));
    await clock.settle();
    await Promise.all(closes);
    expect({ turns, status: fleet.view.get(`b-${turns}`)?.node.status }).toEqual({
      turns,
      status: 'offline',
    });
  }
  const stopped = fleet.stop();
  await clock.advance(1);
  await stopped;
});
