import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideInterval, nextPace, type Pace } from '../../server/rules/interval.ts';

const limits = { shortestMs: 10_000, longestMs: 60_000, perSecond: 5_000 };
const patience = { longerMs: 15_000, shorterMs: 60_000 };
const sizes = fc.integer({ min: 0, max: 1_000_000 });

describe('the interval of a fleet of so many sessions', () => {
  it.each([
    [0, 10_000],
    [50_000, 10_000],
    [50_001, 13_000],
    [100_000, 20_000],
    [100_001, 25_000],
    [150_000, 31_000],
    [300_000, 60_000],
    [600_000, 60_000],
  ])('[PACE-1] of %i sessions at 5,000 a second is %i ms', (sessions, intervalMs) => {
    expect(decideInterval(sessions, 10_000, limits)).toBe(intervalMs);
  });

  it('[PACE-1] climbs by quarters, in tenths of the shortest, and ends at the longest', () => {
    const steps = (shortestMs: number, longestMs: number) => {
      const found = new Set<number>();
      for (let needed = 0; needed <= 2 * longestMs; needed += shortestMs / 100)
        found.add(decideInterval(needed, shortestMs, { shortestMs, longestMs, perSecond: 1_000 }));
      return [...found];
    };
    expect(steps(10_000, 60_000)).toEqual([
      ...[10_000, 13_000, 16_000, 20_000, 25_000, 31_000, 39_000, 48_000, 60_000],
    ]);
    expect(steps(1_000, 3_000)).toEqual([1_000, 1_300, 1_600, 2_000, 2_500, 3_000]);
    expect(steps(10_000, 10_000)).toEqual([10_000]);
  });

  it('[PACE-1] keeps within the limit wherever it can, whatever the interval was', () => {
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1_000, max: 600_000 }), (sessions, currentMs) => {
        const intervalMs = decideInterval(sessions, currentMs, limits);
        expect(intervalMs).toBeGreaterThanOrEqual(limits.shortestMs);
        expect(intervalMs).toBeLessThanOrEqual(limits.longestMs);
        if (intervalMs < limits.longestMs)
          expect((sessions / intervalMs) * 1_000).toBeLessThanOrEqual(limits.perSecond);
        expect(decideInterval(sessions, intervalMs, limits)).toBe(intervalMs);
      }),
    );
  });

  it('[PACE-7] stays where it just fits, on a step or not', () => {
    expect(decideInterval(60_000, 12_000, limits)).toBe(12_000);
    expect(decideInterval(60_001, 12_000, limits)).toBe(13_000);
  });

  it('[PACE-7] comes down only with a tenth to spare, so that a size around a step does not flap', () => {
    expect(decideInterval(50_001, 10_000, limits)).toBe(13_000);
    expect(decideInterval(49_999, 13_000, limits)).toBe(13_000);
    expect(decideInterval(45_455, 13_000, limits)).toBe(13_000);
    expect(decideInterval(45_454, 13_000, limits)).toBe(10_000);
    expect(decideInterval(0, 60_000, limits)).toBe(10_000);
  });
});

describe('a change of the interval', () => {
  /** The pace after looks at these sizes, one every second. */
  const paced = (pace: Pace, seen: readonly number[]): Pace =>
    seen.reduce((now, sessions, index) => nextPace(now, sessions, index * 1_000, limits, patience), pace);
  const times = (count: number, sessions: number): number[] => Array.from({ length: count }, () => sessions);
  const steady = { intervalMs: 10_000 };

  it('[PACE-7] to a longer one waits, and then goes to the step that fits at once', () => {
    expect(paced(steady, times(15, 250_000)).intervalMs).toBe(10_000);
    expect(paced(steady, times(16, 250_000))).toEqual({ intervalMs: 60_000 });
  });

  it('[PACE-7] to a shorter one waits longer', () => {
    const slow = { intervalMs: 60_000 };
    expect(paced(slow, times(60, 10)).intervalMs).toBe(60_000);
    expect(paced(slow, times(61, 10))).toEqual({ intervalMs: 10_000 });
  });

  it('[PACE-7] begins to wait anew where the fleet fitted in between, or asked for the other way', () => {
    expect(paced(steady, [...times(15, 250_000), 50_000, ...times(15, 250_000)]).intervalMs).toBe(10_000);
    const wavers = Array.from({ length: 200 }, (_, n) => (n % 10 < 5 ? 250_000 : 10));
    expect(paced({ intervalMs: 31_000 }, wavers).intervalMs).toBe(31_000);
  });

  it('[PACE-7] asks for the step that fits when the wait is over, not when it began', () => {
    expect(paced(steady, [...times(15, 60_000), 100_000]).intervalMs).toBe(20_000);
  });
});
