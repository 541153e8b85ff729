import fc from 'fast-check';
import { describe, it } from 'vitest';
import { live, replay, SHARDS, step } from './model.ts';
import { memoryWorld } from './world.ts';

describe('the fleet, whatever happens', () => {
  it('[MODEL-1] keeps seq without holes, nobody who beats offline, one session a node, and views equal to the store', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 80, size: 'max' }), (steps) =>
        live(memoryWorld(SHARDS), steps),
      ),
      { numRuns: Number(process.env.MODEL_RUNS ?? 300), endOnFailure: false, ...replay() },
    );
  });

  it('[MODEL-1] also where the data are lost twice, and one hub knows only the registration before', () =>
    live(memoryWorld(SHARDS), [
      { do: 'pass', ms: 2_000 },
      { do: 'drop', who: 0 },
      { do: 'lose data', shard: 0 },
      { do: 'cut', which: 0 },
      { do: 'start agent', who: 0 },
      { do: 'pass', ms: 12_000 },
      { do: 'pass', ms: 300 },
      { do: 'clone', who: 0, which: 1 },
      { do: 'pass', ms: 50 },
      { do: 'lose data', shard: 0 },
    ]));

  it('[MODEL-1] also where a hub that was stopped goes on without its store', () =>
    live(memoryWorld(SHARDS), [
      ...[{ do: 'pass', ms: 12_000 } as const, { do: 'pass', ms: 33_000 } as const],
      { do: 'stop hub', which: 1 },
      { do: 'pass', ms: 12_000 },
      { do: 'lose answers', which: 1 },
      { do: 'continue hub', which: 1 },
      { do: 'pass', ms: 50 },
      { do: 'clone', who: 0, which: 0 },
      { do: 'remove', who: 0, which: 0 },
      { do: 'start agent', who: 0 },
      { do: 'close late', who: 0 },
      { do: 'pass', ms: 300 },
      { do: 'pass', ms: 33_000 },
    ]));

  it('[MODEL-1] also where the only hub that knew a longer timing dies as the data are lost', () =>
    live(memoryWorld(SHARDS), [
      { do: 'kill hub', which: 1 },
      { do: 'pass', ms: 12_000 },
      { do: 'crowd', sessions: 40 },
      // The first hub sees the node unreachable, and not its return to the second.
      { do: 'drop', who: 3 },
      { do: 'cut', which: 0 },
      { do: 'start hub', which: 1 },
      { do: 'start agent', who: 3 },
      { do: 'kill hub', which: 2 },
      { do: 'pass', ms: 12_000 },
      { do: 'lose data', shard: 1 },
      { do: 'kill hub', which: 1 },
      { do: 'drop', who: 3 },
      { do: 'pass', ms: 50 },
    ]));

  it('[MODEL-1] also where heartbeats lie in the socket of a hub that stands still, long after it lost its store', () =>
    live(memoryWorld(SHARDS), [
      { do: 'pass', ms: 12_000 },
      { do: 'lose answers', which: 1 },
      { do: 'pass', ms: 33_000 },
      { do: 'pass', ms: 12_000 },
      { do: 'pass', ms: 2_000 },
      { do: 'stop hub', which: 1 },
      { do: 'heal', which: 1 },
      { do: 'pass', ms: 33_000 },
    ]));

  it('[MODEL-1] also where an agent with a longer timing registers anew, and gets a shorter one', () =>
    live(memoryWorld(SHARDS), [
      { do: 'kill hub', which: 1 },
      { do: 'crowd', sessions: 40 },
      { do: 'pass', ms: 33_000 },
      { do: 'crowd', sessions: 0 },
      { do: 'start hub', which: 1 },
      { do: 'pass', ms: 12_000 },
      { do: 'clone', who: 0, which: 1 },
    ]));
});
