import { describe, expect, it } from 'vitest';
import { shareOf, TimeLimit } from '../../bench/harness/rounds.ts';

/** A limit of so many seconds by a clock that only the test moves, and what one round after another took. */
function roundsOf(seconds: number | undefined, most: number, tookSeconds: readonly number[]) {
  let nowMs = 0;
  const limit = new TimeLimit(seconds, () => nowMs);
  const rounds = [];
  for (const round of limit.rounds(most)) {
    rounds.push(round);
    nowMs += (tookSeconds[round] ?? 0) * 1_000;
  }
  return { rounds, notes: limit.notes };
}

describe('rounds of the bench', () => {
  it('all come where nothing ends them', () => {
    expect(roundsOf(undefined, 3, [1e6, 1e6, 1e6])).toEqual({ rounds: [0, 1, 2], notes: [] });
    expect(roundsOf(30, 3, [10, 10, 10])).toEqual({ rounds: [0, 1, 2], notes: [] });
  });

  it('end where another one would end too late, and that is said', () => {
    expect(roundsOf(28, 5, [10, 9, 1])).toEqual({
      rounds: [0, 1],
      notes: ['The time was up after 2 of 5 rounds.'],
    });
  });

  it('are at least one', () => {
    expect(roundsOf(0, 2, [10]).rounds).toEqual([0]);
  });
});

describe('the share of a row', () => {
  it('is that of its estimate in what is left, and none where half a measurement would come of it', () => {
    expect(shareOf(30, 300, 280)).toBe(28);
    expect(shareOf(30, 30, 200)).toBe(200);
    expect(shareOf(30, 300, 140)).toBeUndefined();
    expect(shareOf(30, 30, -5)).toBeUndefined();
  });
});
