import { describe, expect, it } from 'vitest';
import { StallWatch } from '../../server/stall-watch.ts';

describe('StallWatch', () => {
  it.each([
    ['a turn in time', 50, 0],
    ['a turn that is a second late', 1_050, 0],
    ['a turn that is later', 1_051, 1],
  ])('takes %s for %i ms', (_name, atMs, stalls) => {
    const watch = new StallWatch(0, 50);
    watch.turned(atMs);
    expect(watch.count(atMs)).toBe(stalls);
  });

  it('knows of a stall from whatever runs first, before the timers do', () => {
    const watch = new StallWatch(0, 50);
    expect(watch.graceLeftMs(15_000, 25_000)).toBe(15_000);
    watch.turned(25_010);
    expect(watch.graceLeftMs(15_000, 26_000)).toBe(14_000);
    expect([watch.count(26_000), watch.lastMs(26_000)]).toEqual([1, 24_950]);
  });

  it('gives no grace where nothing stood still', () => {
    const watch = new StallWatch(0, 50);
    watch.turned(50);
    expect(watch.graceLeftMs(15_000, 60)).toBeLessThan(0);
  });

  it('takes the longest stall for a minute', () => {
    const watch = new StallWatch(0, 50);
    expect(watch.lastMs(3_600_000)).toBe(60_000);
  });
});
