import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BACKOFF, Backoff, readRetryAfterHeader, retryCeilingMs } from '../../agent/session/backoff.ts';

const unlimited = Number.POSITIVE_INFINITY;
const almostOne = () => 1 - Number.EPSILON;

describe('Backoff', () => {
  it('doubles from 1 s to 60 s', () => {
    const backoff = new Backoff(almostOne);
    const delays = Array.from({ length: 9 }, () => Math.round(backoff.next(unlimited)));
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  });

  it('jitters fully, the first retry too', () => {
    expect(new Backoff(() => 0).next(unlimited)).toBe(0);
    expect(new Backoff(() => 0.25).next(unlimited)).toBe(250);
  });

  it('stays below the ceiling, and steps on all the same', () => {
    const backoff = new Backoff(() => 0.5);
    for (let retry = 0; retry < 4; retry += 1) expect(backoff.next(500)).toBe(250);
    expect(backoff.next(unlimited)).toBe(8_000);
  });

  it('begins again after a reset', () => {
    const backoff = new Backoff(() => 0.5);
    backoff.next(unlimited);
    backoff.next(unlimited);
    backoff.reset();
    expect(backoff.next(unlimited)).toBe(500);
  });

  it('spreads over five seconds, less where the timeout is short', () => {
    expect(new Backoff(() => 0.5).spread(unlimited)).toBe(BACKOFF.spreadMs / 2);
    expect(new Backoff(() => 0.5).spread(500)).toBe(250);
  });

  it('waits what the hub asked for, and never less', () => {
    expect(new Backoff(() => 0).wait(4_000, unlimited)).toBe(4_000);
    expect(new Backoff(() => 0.5).wait(4_000, unlimited)).toBe(5_000);
    expect(new Backoff(() => 0).wait(999_999_999, unlimited)).toBe(BACKOFF.longestWaitMs);
  });

  it('waits no longer than the ceiling while its node may be online, whatever the hub asked for', () => {
    expect(Math.round(new Backoff(almostOne).wait(60_000, 5_000))).toBe(5_000);
    expect(Math.round(new Backoff(() => 0).wait(60_000, 5_000))).toBe(3_333);
    expect(new Backoff(() => 0).wait(2_000, 5_000)).toBe(2_000);
  });

  it('does not count a wait that a hub asked for as a failure', () => {
    const backoff = new Backoff(() => 0.5);
    for (let waits = 0; waits < 5; waits += 1) backoff.wait(2_000, unlimited);
    expect(backoff.next(unlimited)).toBe(500);
  });

  it('backs off to the maximum: from 30 s to 60 s, and later retries stay there', () => {
    expect(new Backoff(() => 0).longest()).toBe(30_000);
    const backoff = new Backoff(almostOne);
    expect(Math.round(backoff.longest())).toBe(60_000);
    expect(Math.round(backoff.next(unlimited))).toBe(60_000);
  });

  it('never overflows or goes below zero', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        fc.integer({ min: 1, max: 5_000 }),
        (random, count) => {
          const backoff = new Backoff(() => random);
          for (let retry = 1; retry < count; retry += 1) backoff.next(unlimited);
          const delay = backoff.next(unlimited);
          return delay >= 0 && delay <= BACKOFF.capMs;
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('retryCeilingMs', () => {
  it.each([
    [3_000, 1, 500],
    [30_000, 1, 5_000],
    [30_000, 3, 5_000],
    [30_000, 6, 2_500],
    [180_000, 1, 30_000],
    [undefined, 1, 5_000],
  ])('with a timeout of %s ms and %i hubs it is %i ms', (timeoutMs, hubs, expected) => {
    expect(retryCeilingMs(timeoutMs, hubs)).toBe(expected);
  });
});

describe('readRetryAfterHeader', () => {
  const answeredAt = 'Fri, 02 Jan 2026 09:27:41 GMT';

  it.each([
    ['0', 0],
    ['7', 7_000],
    ['Fri, 02 Jan 2026 09:28:01 GMT', 20_000],
    ['Fri, 02 Jan 2026 09:00:00 GMT', 0],
    ['soon', undefined],
    [undefined, undefined],
  ])('reads %s as %s ms', (header, expected) => {
    expect(readRetryAfterHeader(header, answeredAt)).toBe(expected);
  });

  it('counts a date from the date of the answer, and knows none without', () => {
    expect(readRetryAfterHeader('Fri, 02 Jan 2026 09:28:01 GMT', undefined)).toBeUndefined();
    expect(readRetryAfterHeader('5', undefined)).toBe(5_000);
  });
});
