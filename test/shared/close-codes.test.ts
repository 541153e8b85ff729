import { expect, test } from 'vitest';
import { afterClose, busyReason, CLOSE, GOODBYE_CODES, readRetryAfterMs } from '../../shared/index.ts';

test('[CLOSE-13] every code of the hub tells the agent what to do', () => {
  expect(Object.fromEntries(Object.values(CLOSE).map(({ code }) => [code, afterClose(code)]))).toEqual({
    1012: 'reconnect-spread',
    1013: 'wait',
    4400: 'back-off',
    4401: 'back-off',
    4403: 'back-off',
    4404: 'stop',
    4408: 'reconnect',
    4409: 'back-off',
    4503: 'back-off',
  });
});

test.each([1000, 1001, 1005, 1006, 1011, 4000, 4999, 0])('[CLOSE-13] after %i it reconnects', (code) => {
  expect(afterClose(code)).toBe('reconnect');
});

test('[CLOSE-13] no reason is longer than a Close frame can carry', () => {
  for (const { reason } of Object.values(CLOSE)) expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
  expect(busyReason(123_456_789.9).length).toBeLessThanOrEqual(123);
});

test('only 1000 and 1001 are a goodbye', () => {
  expect([...GOODBYE_CODES]).toEqual([1000, 1001]);
});

test.each([
  [busyReason(1_500.4), 1_500],
  ['{"retryAfterMs": 20}', 20],
  ['', undefined],
  ['the hub is busy', undefined],
  ['{"retryAfterMs":-5}', undefined],
  ['{"retryAfterMs":"5"}', undefined],
])('[CLOSE-12] the reason %j asks to wait for %j ms', (reason, ms) => {
  expect(readRetryAfterMs(reason)).toBe(ms);
});
