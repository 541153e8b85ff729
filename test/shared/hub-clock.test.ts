import { expect, it } from 'vitest';
import { HubClock } from '../../shared/index.ts';

function clocks() {
  let steadyMs = 1_000;
  let wallMs = Date.parse('2030-01-01T00:00:00Z');
  const clock = new HubClock(
    () => steadyMs,
    () => wallMs,
  );
  const pass = (ms: number) => {
    steadyMs += ms;
    wallMs += ms;
  };
  const step = (ms: number) => {
    wallMs += ms;
  };
  return { clock, pass, step, wall: () => wallMs };
}

const HUB = '2026-11-28T12:00:00.000Z';

it("[CLK-5] tells the hub's time, whatever becomes of this machine's clock", () => {
  const { clock, pass, step } = clocks();
  clock.heard(HUB);
  pass(1_500);
  for (const ms of [60_000, -7_200_000]) {
    step(ms);
    expect(clock.now()).toBe(Date.parse(HUB) + 1_500);
  }
  clock.heard('2026-11-28T11:00:00.000Z');
  expect(clock.now()).toBe(Date.parse('2026-11-28T11:00:00.000Z'));
});

it("tells this machine's time while the hub has not said, and where it says nonsense", () => {
  const { clock, wall } = clocks();
  expect(clock.now()).toBe(wall());
  clock.heard('soon');
  expect(clock.now()).toBe(wall());
});
