import { expect, it, vi } from 'vitest';
import { onWake } from '../../agent/sleep-watch.ts';
import { fakeClock } from './fake-clock.ts';

it('wakes its listeners once the wall clock has jumped by more than ten seconds', () => {
  const clock = fakeClock();
  const woke = vi.fn();
  onWake(clock, woke);
  clock.tick(600_000);
  expect(woke).not.toHaveBeenCalled();
  clock.sleep(9_000);
  clock.tick(1_000);
  expect(woke).not.toHaveBeenCalled();
  clock.sleep(11_000);
  clock.tick(1_000);
  expect(woke).toHaveBeenCalledTimes(1);
  clock.tick(60_000);
  expect(woke).toHaveBeenCalledTimes(1);
});

it('takes a clock that is set back for no sleep', () => {
  const clock = fakeClock();
  const woke = vi.fn();
  onWake(clock, woke);
  clock.sleep(-3_600_000);
  clock.tick(5_000);
  expect(woke).not.toHaveBeenCalled();
});

it('needs one timer for all, and none without listeners', () => {
  const clock = fakeClock();
  const first = onWake(clock, () => {});
  const second = onWake(clock, () => {});
  expect(clock.timers()).toBe(1);
  first();
  expect(clock.timers()).toBe(1);
  second();
  expect(clock.timers()).toBe(0);
  const woke = vi.fn();
  clock.sleep(60_000);
  onWake(clock, woke);
  clock.tick(2_000);
  expect(woke).not.toHaveBeenCalled();
});
