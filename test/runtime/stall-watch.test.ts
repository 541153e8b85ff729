import { describe, expect, it } from 'vitest';
import { StallWatch } from '../../server/runtime/stall-watch.ts';

/** Its first turn was at 0. */
function begun(): StallWatch {
  const watch = new StallWatch(50);
  watch.turned(0);
  return watch;
}

describe('StallWatch', () => {
  it.each([
    ['a turn in time', 50, 0],
    ['a turn that is a second late', 1_050, 0],
    ['a turn that is later', 1_051, 1],
  ])('takes %s for %i ms', (_name, atMs, stalls) => {
    const watch = begun();
    watch.turned(atMs);
    expect(watch.count(atMs)).toBe(stalls);
  });

  it('knows of a stall from whatever runs first, before the timers do', () => {
    const watch = begun();
    expect(watch.graceLeftMs(15_000, 25_000)).toBe(15_000);
    watch.turned(25_010);
    expect(watch.graceLeftMs(15_000, 26_000)).toBe(14_000);
    expect([watch.count(26_000), watch.lastMs(26_000)]).toEqual([1, 24_950]);
  });

  it('gives no grace where nothing stood still', () => {
    const watch = begun();
    watch.turned(50);
    expect(watch.graceLeftMs(15_000, 60)).toBeLessThan(0);
  });

  it('begins with its first turn: what a hub needs to load its fleet is no stall', () => {
    const watch = new StallWatch(50);
    expect(watch.count(5_000)).toBe(0);
    watch.turned(20_000);
    expect([watch.count(20_050), watch.count(21_051)]).toEqual([0, 1]);
  });
});
