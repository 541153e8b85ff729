import { describe, expect, it } from 'vitest';
import { StoreClock, type TimeAnswer } from '../../server/fleet/store-clock.ts';

const HOUR = 3_600_000;

/** The answer to a question that was asked at `askedAt` and took so long, half of it each way. */
const answer = (askedAt: number, tookMs: number, aheadMs: number, part = 0.5): TimeAnswer => ({
  askedAt,
  answeredAt: askedAt + tookMs,
  storeNow: askedAt + part * tookMs + aheadMs,
});

describe('the clock of a store', () => {
  it('is unknown before the first answer', () => {
    expect(new StoreClock().at(1_000)).toBeUndefined();
  });

  it('keeps what the quickest answer said: one that waited through a stall moves nothing', () => {
    const clock = new StoreClock();
    expect(clock.take(answer(0, 2, HOUR))).toBe(0);
    expect(clock.at(1_000)).toBe(1_000 + HOUR);
    expect(clock.take(answer(1_000, 25_000, HOUR, 0))).toBe(0);
    expect(clock.at(26_000)).toBe(26_000 + HOUR);
  });

  it('follows a clock that drifts or is corrected slowly, and takes neither for a step', () => {
    const clock = new StoreClock();
    for (let at = 0; at < 600_000; at += 500) expect(clock.take(answer(at, 4, at * 0.08))).toBe(0);
    expect(Math.abs((clock.at(600_000) ?? 0) - 648_000)).toBeLessThan(100);
  });

  it.each([
    ['a minute forwards', 60_000],
    ['a minute back', -60_000],
    ['two hours forwards', 2 * HOUR],
    ['two hours back', -2 * HOUR],
    ['a second back', -1_000],
  ])('sees a step of %s at the first answer', (_, stepMs) => {
    const clock = new StoreClock();
    clock.take(answer(0, 10, 0));
    const seen = clock.take(answer(500, 10, stepMs));
    expect(Math.abs(seen - stepMs)).toBeLessThanOrEqual(10);
    expect(Math.abs(seen)).toBeLessThanOrEqual(Math.abs(stepMs));
    expect(clock.at(1_000)).toBe(1_000 + stepMs);
    expect(clock.take(answer(1_000, 10, stepMs))).toBe(0);
  });

  it('sees no step where an answer was slow, whichever way took the time', () => {
    for (const part of [0, 0.3, 1]) {
      const clock = new StoreClock();
      clock.take(answer(0, 1, 5));
      expect(clock.take(answer(500, 1_900, 5, part))).toBe(0);
    }
  });
});
