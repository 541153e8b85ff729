import fc from 'fast-check';
import { expect, test } from 'vitest';
import { durationSchema, formatDuration } from '../../shared/index.ts';

test.each([
  ['500ms', 500],
  ['10s', 10_000],
  ['3m', 180_000],
  ['1h', 3_600_000],
  ['2d', 172_800_000],
  [' 5s ', 5_000],
  ['0s', 0],
])('[SET-9] %j is a duration', (text, ms) => {
  expect(durationSchema.parse(text)).toBe(ms);
});

test.each([
  '10',
  '10 s',
  '1.5s',
  '-1s',
  '10S',
  '10sec',
  's',
  '',
  '1s1ms',
  '1e3ms',
  '٣s',
  '9999999999s',
  'Infinitys',
])('[SET-9] %j is none, and the message says how to write one', (text) => {
  expect(durationSchema.safeParse(text).error?.issues[0]?.message).toBe(
    `"${text}" is not a duration: write it as 500ms, 10s or 3m`,
  );
});

test('[SET-9] what is shown is read back as the same', () => {
  fc.assert(
    fc.property(fc.nat(100_000_000), (ms) => {
      expect(durationSchema.parse(formatDuration(ms))).toBe(ms);
    }),
  );
  expect([0, 500, 90_000, 3_600_000, 5_400_000].map(formatDuration)).toEqual([
    '0s',
    '500ms',
    '90s',
    '1h',
    '90m',
  ]);
});
