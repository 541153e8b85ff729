import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CursorCodec, subscriptionKey } from '../../server/picture/cursor.ts';
import { filterSchema, LIMITS } from '../../shared/index.ts';

const position = fc.record({
  epoch: fc.stringMatching(/^[A-Za-z0-9_-]{1,22}$/),
  at: fc
    .tuple(fc.integer({ min: 0, max: 2 ** 45 }), fc.integer({ min: 0, max: 2 ** 32 }))
    .map(([ms, n]) => `${ms}-${n}`),
});
const positions = fc.array(position, { minLength: 1, maxLength: 32 });

describe('cursors', () => {
  test('[SUB-9] a cursor gives back the positions that it was made of', () => {
    fc.assert(
      fc.property(positions, fc.string(), (vector, key) => {
        const codec = new CursorCodec(key);
        expect(codec.decode(codec.encode(vector), vector)).toEqual(vector);
      }),
    );
  });

  test('[SUB-9] a cursor of another filter, another data set or other shards is none', () => {
    fc.assert(
      fc.property(positions, fc.nat(), (vector, pick) => {
        const cursor = new CursorCodec('a').encode(vector);
        const other = vector.map((one, shard) =>
          shard === pick % vector.length ? { ...one, epoch: `${one.epoch}x` } : one,
        );
        expect(new CursorCodec('b').decode(cursor, vector)).toBeUndefined();
        expect(new CursorCodec('a').decode(cursor, other)).toBeUndefined();
        expect(new CursorCodec('a').decode(cursor, vector.slice(1))).toBeUndefined();
        expect(new CursorCodec('a').decode(cursor, [...vector, ...vector])).toBeUndefined();
      }),
    );
  });

  test('[SUB-9] rubbish is no cursor, and never throws', () => {
    const codec = new CursorCodec('a');
    fc.assert(
      fc.property(positions, fc.oneof(fc.string({ unit: 'binary' }), fc.base64String()), (vector, text) => {
        expect(codec.decode(text, vector)).toBeUndefined();
      }),
    );
  });

  test('[SUB-9] a cursor that was cut or bent gives positions of the right form, or none', () => {
    const codec = new CursorCodec('a');
    fc.assert(
      fc.property(positions, fc.nat(), fc.nat({ max: 255 }), (vector, pick, value) => {
        const bytes = Buffer.from(codec.encode(vector), 'base64url');
        bytes[pick % bytes.length] = value;
        for (const text of [bytes, bytes.subarray(0, pick % bytes.length)]) {
          const found = codec.decode(text.toString('base64url'), vector);
          expect(found?.every(({ at }) => /^\d+-\d+$/.test(at)) ?? true).toBe(true);
        }
      }),
    );
  });

  test('filters that mean the same have the same key, other fields another', () => {
    const key = (filter: unknown, fields: 'full' | 'summary' = 'full') =>
      subscriptionKey(filterSchema.parse(filter), fields);
    expect(key({ status: ['online', 'offline'] })).toBe(key({ status: ['offline', 'online'] }));
    expect(key({})).not.toBe(key({}, 'summary'));
    expect(key({ q: 'a' })).not.toBe(key({ pool: 'a' }));
  });

  test('a cursor of 256 shards is within what a hub accepts', () => {
    const vector = Array.from({ length: 256 }, () => ({ epoch: 'abcdefgh', at: '1893456000000-4095' }));
    expect(new CursorCodec('a').encode(vector).length).toBeLessThanOrEqual(LIMITS.cursorLength);
  });
});
