import fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { boundedJson, isWellFormed, jsonBytes, surveyJson } from '../../shared/index.ts';
import { anyJson, fuzzing } from '../support/fuzz.ts';

test.each([
  ['{"a":[{"__proto__":1}]}', ['a', '0'], '__proto__'],
  ['{"a":{"b":"\\ud800"}}', ['a', 'b'], 'surrogate'],
  ['{"\\udfff":1}', [], 'surrogate'],
  ['{"a":1e999}', ['a'], 'too large'],
  [`${'['.repeat(50_000)}${']'.repeat(50_000)}`, [], '32 levels'],
])('the first fault of %j is named', (text, path, why) => {
  expect(surveyJson(JSON.parse(text))).toEqual({ fault: { path, why: expect.stringContaining(why) } });
});

test('what has no fault survives being written and read', () => {
  let sound = 0;
  fc.assert(
    fc.property(anyJson, (value) => {
      const parsed: unknown = JSON.parse(JSON.stringify(value));
      const survey = surveyJson(parsed);
      if ('fault' in survey) return;
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
  -1.7976931348623157e308,
  5e-324,
  false,
  { '\u0000': { '': [-0.000001234567890123456, null, []] } },
])('%j has no more bytes than what it was given', (value) => {
  const survey = surveyJson(value);
  expect('mostBytes' in survey && survey.mostBytes).toBeGreaterThanOrEqual(jsonBytes(value));
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
