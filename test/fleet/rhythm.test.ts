import { describe, expect, it } from 'vitest';
import { beatsIn, newRhythm } from '../../server/fleet/rhythm.ts';

/** Whether the rhythm was heard at some look, one every 2.5 s, by the end of these beats (ms after it was told). */
function heard(beats: readonly number[], intervalMs = 10_000): boolean {
  const rhythm = newRhythm(0);
  const end = Math.max(...beats) + 2_500;
  for (let now = 0; now <= end; now += 2_500) {
    const last = Math.max(-1, ...beats.filter((at) => at <= now));
    if (beatsIn(rhythm, last, intervalMs)) return true;
  }
  return false;
}

describe('the rhythm of a session that was told a shorter interval', () => {
  it('[PACE-4] is heard with the third beat, an interval apart each', () => {
    expect(heard([4_000, 14_000])).toBe(false);
    expect(heard([4_000, 14_000, 24_100])).toBe(true);
  });

  it('[PACE-4] is not that of the step before, however long it lasts', () => {
    expect(heard(Array.from({ length: 50 }, (_, n) => n * 13_000 + 1))).toBe(false);
    expect(heard(Array.from({ length: 50 }, (_, n) => n * 60_000 + 1))).toBe(false);
  });

  it('[PACE-4] is not that of pings whose stats follow them', () => {
    const withStats = (everyMs: number) =>
      Array.from({ length: 20 }, (_, n) => [n * everyMs + 1, n * everyMs + 2_600]).flat();
    expect(heard(withStats(60_000))).toBe(false);
    expect(heard(withStats(10_000))).toBe(true);
  });

  it('[PACE-4] is not shown by one beat that was held up, and the next', () => {
    expect(heard([50_000, 60_000, 120_000, 180_000])).toBe(false);
  });

  it('[PACE-4] does not begin with a beat from before it was told', () => {
    const rhythm = newRhythm(5_000);
    expect([1_000, 5_000].map((at) => beatsIn(rhythm, at, 10_000))).toEqual([false, false]);
    expect(rhythm.beatAt).toBeUndefined();
  });
});
