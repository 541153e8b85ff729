import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import {
  boundedJson,
  exactNumberOrText,
  isWellFormed,
  jsonBytes,
  parseJson,
  surveyJson,
} from '../../shared/index.ts';
import { anyJson, fuzzing } from '../support/fuzz.ts';

test.each([
  ['{"a":[{"__proto__":1}]}', ['a', '0', '__proto__'], '__proto__'],
  ['{"a":{"b":"\\ud800"}}', ['a', 'b'], 'surrogate'],
  ['{"\\udfff":1}', ['\udfff'], 'surrogate'],
  ['{"a":1e999}', ['a'], 'too large'],
  ['[1,9007199254740993]', ['1'], 'digits'],
  ['{"a":-9007199254740992}', ['a'], 'digits'],
  ['[1e16]', ['0'], 'digits'],
  [`${'['.repeat(50_000)}${']'.repeat(50_000)}`, ['0'], '32 levels'],
])('[STAT-8] the first fault of %j is named', (text, path, why) => {
  expect(surveyJson(JSON.parse(text))).toMatchObject({
    faults: [{ path, why: expect.stringContaining(why) }],
  });
});

test('what has no fault survives being written and read', () => {
  let sound = 0;
  fc.assert(
    fc.property(anyJson, (value) => {
      const parsed: unknown = JSON.parse(JSON.stringify(value));
      const survey = surveyJson(parsed);
      if (survey.faults.length > 0) return;
      sound += 1;
      const bytes = Buffer.from(JSON.stringify(parsed));
      expect(JSON.parse(bytes.toString())).toEqual(parsed);
      expect(bytes.length).toBe(jsonBytes(parsed));
      expect(bytes.length).toBeLessThanOrEqual(survey.mostBytes);
      expect(z.unknown().parse(parsed)).toEqual(parsed);
    }),
    fuzzing(1_000),
  );
  expect(sound).toBeGreaterThan(50);
});

test.each([
  '\u001f'.repeat(9),
  '\u2028\ud83d\ude80é"\\',
  -9007199254740991,
  -0,
  0.1,
  5e-324,
  false,
  { '\u0000': { '': [-0.000001234567890123456, null, []] } },
])('%j has no more bytes than what it was given', (value) => {
  const survey = surveyJson(value);
  expect(survey.mostBytes).toBeGreaterThanOrEqual(jsonBytes(value));
});

test('a text is well formed where UTF-8 keeps it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.constantFrom('', '\ud800', '\udc00', '🛰'), (text, more) => {
      const whole = text + more;
      expect(isWellFormed(whole)).toBe(Buffer.from(whole).toString() === whole);
    }),
  );
});

test('a size is counted in bytes of UTF-8, before anything is read', () => {
  const schema = boundedJson(z.object({ a: z.string() }), 12);
  expect(schema.safeParse({ a: 'xxxx' }).success).toBe(true);
  expect(schema.safeParse({ a: 'éé' }).success).toBe(true);
  expect(schema.safeParse({ a: 'ééx' }).error?.issues[0]?.message).toBe('is larger than 12 bytes');
  expect(schema.safeParse(undefined).success).toBe(false);
});

test.each([
  ['0', 0],
  ['20', 20],
  ['-1.5', -1.5],
  ['9007199254740991', 9_007_199_254_740_991],
  ...['0012', '1.10', '1.0', '1e3', '0x10', '+1', '-0', '.5', '9007199254740993', '1e400', '', ' 1', 'a'].map(
    (text): [string, string] => [text, text],
  ),
])('the word %j is the number that it is, or stays text', (text, expected) => {
  expect(exactNumberOrText(text)).toBe(expected);
});

describe('parseJson', () => {
  test.each([
    ['{"a":NaN}', { a: Infinity }],
    ['{"a":-Infinity,"b":[Infinity,1]}', { a: Infinity, b: [Infinity, 1] }],
    ['{"a":"NaN","b":NaN}', { a: 'NaN', b: Infinity }],
    ['{"a\\"NaN":"\\\\","b":NaN}', { 'a"NaN': '\\', b: Infinity }],
  ])('[STAT-3] %s has figures that no schema takes, not a fault of syntax', (text, expected) => {
    expect(parseJson(text)).toEqual(expected);
  });

  test.each(['NaN,', '{"a":NaNa}', '{NaN:1}', '"NaN', '{"a":"\\', 'Infinity Infinity'])(
    '[STAT-3] %s is no JSON',
    (text) => {
      expect(() => parseJson(text)).toThrow(SyntaxError);
    },
  );

  test('[STAT-3] no text takes longer than its length', () => {
    expect(() => parseJson(`NaN"${'\\"'.repeat(2_000_000)}`)).toThrow(SyntaxError);
  });
});
