import { describe, expect, it } from 'vitest';
import { seesTheStore } from '../../server/agents/evacuation.ts';

describe('a hub that is cut off asks another one, which says when it heard of the store', () => {
  it.each([
    // A timeout of 3 s: blind for a quarter of it.
    { blindMs: 750, unheardMs: 0, sees: true },
    { blindMs: 750, unheardMs: 250, sees: false },
    { blindMs: 1_250, unheardMs: 500, sees: true },
    // Cut off at the same moment, it heard half a second later at most, and is still ready.
    { blindMs: 1_000, unheardMs: 500, sees: false },
    { blindMs: 2_500, unheardMs: 2_000, sees: false },
    // Its store is slow.
    { blindMs: 7_500, unheardMs: 3_000, sees: true },
    { blindMs: 7_500, unheardMs: 4_000, sees: false },
    { blindMs: 45_000, unheardMs: 500, sees: true },
    // This hub hears again.
    { blindMs: 0, unheardMs: 0, sees: false },
  ])('[MOVE-2] blind for $blindMs ms, $unheardMs ms ago there: $sees', ({ blindMs, unheardMs, sees }) => {
    expect(seesTheStore(unheardMs, blindMs)).toBe(sees);
  });
});
