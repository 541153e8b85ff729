import { expect, test } from 'vitest';
import { Restarts } from '../../../cli/hub-group/restarts.ts';

test('[GROUP-3] a worker that dies soon is started again later each time, within a bound', () => {
  const restarts = new Restarts();
  const delays = Array.from({ length: 2_000 }, () => restarts.delayAfter(59_999));
  expect(delays.slice(0, 9)).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  expect(new Set(delays.slice(8))).toEqual(new Set([30_000]));
});

test('[GROUP-3] one that ran for a minute begins anew', () => {
  const restarts = new Restarts();
  for (let death = 0; death < 20; death += 1) restarts.delayAfter(0);
  expect([restarts.delayAfter(60_000), restarts.delayAfter(10)]).toEqual([250, 500]);
});
