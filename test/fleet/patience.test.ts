import { expect, it } from 'vitest';
import { patienceMs } from '../../server/fleet/expiry.ts';

it.each([
  ['a quick store', 30_000, 2, 0],
  ['a store that takes a second', 30_000, 1_000, 0],
  ['a slow store and short timeouts', 3_000, 1_400, 1_300],
  ['short timeouts and a store that is hardly slow', 3_000, 700, 0],
])('%s: somebody may be overdue by what its heartbeats are late', (_, timeoutMs, slowestMs, expected) => {
  expect(patienceMs(timeoutMs, slowestMs)).toBe(expected);
});
