import { describe, expect, it, vi } from 'vitest';
import { gapBetween, onWake } from '../../agent/session/sleep-watch.ts';
import { FakeClock } from '../support/fake-clock.ts';

describe('what the time between two looks was', () => {
  const before = { wallMs: 1_000_000, nowMs: 5_000, bootMs: 90_000 };
  const later = (ranMs: number, { steppedMs = 0, sleptMs = 0 } = {}) => ({
    wallMs: before.wallMs + ranMs + sleptMs + steppedMs,
    nowMs: before.nowMs + ranMs,
    bootMs: before.bootMs + ranMs + sleptMs,
  });
  it.each([
    ['nothing', later(1_000), 'none'],
    ['a busy machine', later(9_000), 'none'],
    ['a nap', later(1_000, { sleptMs: 9_000 }), 'none'],
    ['a sleep', later(1_000, { sleptMs: 11_000 }), 'slept'],
    [
      'a sleep after which the clock was set back',
      later(1_000, { sleptMs: 60_000, steppedMs: -7_200_000 }),
      'slept',
    ],
    ['a stopped process', later(60_000), 'unsure'],
    ['a clock that was set 60 s forwards', later(1_000, { steppedMs: 60_000 }), 'unsure'],
    ['a clock that was set 2 h forwards', later(1_000, { steppedMs: 7_200_000 }), 'unsure'],
    ['a clock that was set 60 s back', later(1_000, { steppedMs: -60_000 }), 'none'],
    ['a clock that was set 2 h back', later(1_000, { steppedMs: -7_200_000 }), 'none'],
  ])('%s', (_, now, expected) => {
    expect(gapBetween(before, now)).toBe(expected);
  });

  it('takes a late timer for sleep where no boot time is known, and a step for neither', () => {
    const blind = (reading: typeof before) => ({ ...reading, bootMs: undefined });
    expect(gapBetween(blind(before), blind(later(60_000)))).toBe('slept');
    expect(gapBetween(blind(before), blind(later(1_000, { steppedMs: 7_200_000 })))).toBe('unsure');
    expect(gapBetween(blind(before), blind(later(1_000, { steppedMs: -60_000 })))).toBe('none');
  });
});

it('[AGT-7] wakes its listeners once after a sleep of more than ten seconds', () => {
  const clock = new FakeClock();
  const woke = vi.fn();
  onWake(clock, woke);
  clock.tick(600_000);
  expect(woke).not.toHaveBeenCalled();
  clock.suspend(9_000);
  clock.tick(1_000);
  expect(woke).not.toHaveBeenCalled();
  clock.suspend(11_000);
  clock.tick(1_000);
  expect(woke.mock.calls).toEqual([['slept']]);
  clock.tick(60_000);
  expect(woke).toHaveBeenCalledTimes(1);
});

it('says that it is unsure after a step forwards and after a stop of the process', () => {
  const clock = new FakeClock();
  const woke = vi.fn();
  onWake(clock, woke);
  clock.step(3_600_000);
  clock.tick(2_000);
  expect(woke.mock.calls).toEqual([['unsure']]);
  clock.jump(60_000);
  clock.tick(2_000);
  expect(woke.mock.calls).toEqual([['unsure'], ['unsure']]);
});

it('needs one timer for all, and none without listeners', () => {
  const clock = new FakeClock();
  const first = onWake(clock, () => {});
  const second = onWake(clock, () => {});
  expect(clock.timers()).toBe(1);
  first();
  expect(clock.timers()).toBe(1);
  second();
  expect(clock.timers()).toBe(0);
  const woke = vi.fn();
  clock.suspend(60_000);
  onWake(clock, woke);
  clock.tick(2_000);
  expect(woke).not.toHaveBeenCalled();
});
