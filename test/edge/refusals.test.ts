import { expect, test } from 'vitest';
import { Refusals } from '../../server/edge/refusals.ts';
import { silentLog } from '../../server/runtime/log.ts';
import { FakeClock } from '../support/fake-clock.ts';

test('[AUTH-12] a line at once, then one a minute with counts and a few addresses', async () => {
  const clock = new FakeClock();
  const lines: object[] = [];
  const refusals = new Refusals(clock, { ...silentLog, warn: (fields) => void lines.push(fields) });
  for (let n = 0; n < 10_000; n += 1) refusals.note('agents', 'wrong', `192.0.2.${n % 250}`);
  refusals.note('api', 'wrong', '192.0.2.1');
  expect(lines).toEqual([
    { entrance: 'agents', reason: 'wrong', count: 1, addresses: ['192.0.2.0'] },
    { entrance: 'api', reason: 'wrong', count: 1, addresses: ['192.0.2.1'] },
  ]);
  await clock.advance(60_000);
  expect(lines.slice(2)).toEqual([
    {
      ...{ entrance: 'agents', reason: 'wrong', count: 9_999 },
      addresses: [1, 2, 3, 4, 5].map((n) => `192.0.2.${n}`),
    },
  ]);
  await clock.advance(600_000);
  expect(lines).toHaveLength(3);
  refusals.note('agents', 'wrong', '192.0.2.9');
  expect(lines).toHaveLength(4);
  expect(refusals.counts.get('agents wrong')).toBe(10_001);
  refusals.note('agents', 'wrong', '192.0.2.9');
  refusals.close();
  await clock.advance(600_000);
  expect(lines).toHaveLength(4);
});
