import { expect, it } from 'vitest';
import { type Sleeper, Wheel } from '../../simulate/wheel.ts';
import { FakeClock } from '../support/fake-clock.ts';

function setup() {
  const clock = new FakeClock();
  const wheel = new Wheel(clock);
  wheel.start();
  const woken: number[] = [];
  const sleeper: Sleeper = { wakeAtMs: Number.POSITIVE_INFINITY, wake: (now) => void woken.push(now) };
  return { clock, wheel, woken, sleeper };
}

it('wakes a sleeper once, never early and at most a step late', () => {
  const { clock, wheel, woken, sleeper } = setup();
  wheel.wakeAt(sleeper, 1_234);
  clock.tick(5_000);
  expect(woken).toEqual([1_240]);
});

it('moves a sleeper, both ways, and forgets one', () => {
  const { clock, wheel, woken, sleeper } = setup();
  wheel.wakeAt(sleeper, 1_000);
  wheel.wakeAt(sleeper, 500);
  clock.tick(2_000);
  wheel.wakeAt(sleeper, 2_500);
  wheel.wakeAt(sleeper, 3_000);
  clock.tick(2_000);
  expect(woken).toEqual([500, 3_000]);
  wheel.wakeAt(sleeper, 4_500);
  wheel.forget(sleeper);
  clock.tick(2_000);
  expect(woken).toHaveLength(2);
});

it('wakes who moved away and back again only once', () => {
  const { clock, wheel, woken, sleeper } = setup();
  for (const atMs of [500, 900, 500]) wheel.wakeAt(sleeper, atMs);
  clock.tick(2_000);
  expect(woken).toEqual([500]);
});

it('takes a time that has passed for the next step, and the next one may be asked for while waking', () => {
  const { clock, wheel } = setup();
  const woken: number[] = [];
  const sleeper: Sleeper = {
    wakeAtMs: 0,
    wake(now) {
      woken.push(now);
      if (woken.length < 3) wheel.wakeAt(sleeper, 0);
    },
  };
  clock.tick(100);
  wheel.wakeAt(sleeper, 0);
  clock.tick(1_000);
  expect(woken).toEqual([110, 120, 130]);
});

it('one timer serves all, and none is left when it stops', () => {
  const { clock, wheel, sleeper } = setup();
  for (let n = 0; n < 1_000; n += 1) wheel.wakeAt({ ...sleeper }, n * 7);
  expect(clock.timers()).toBe(1);
  wheel.stop();
  expect(clock.timers()).toBe(0);
});
