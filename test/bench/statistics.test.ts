import { describe, expect, it } from 'vitest';
import { Histogram, median, quantile, slope, spread } from '../../bench/harness/statistics.ts';

describe('statistics of the bench', () => {
  it('takes quantiles by rank, whatever the order', () => {
    const values = [5, 1, 4, 2, 3];
    expect(median(values)).toBe(3);
    expect(quantile(values, 0.99)).toBe(5);
    expect(quantile(values, 0)).toBe(1);
    expect(values).toEqual([5, 1, 4, 2, 3]);
    expect(
      quantile(
        Array.from({ length: 100 }, (_, index) => index + 1),
        0.99,
      ),
    ).toBe(99);
  });

  it('says that there is nothing to say of no values', () => {
    expect(median([])).toBeNaN();
    expect(slope([{ x: 1, y: 2 }])).toBeNaN();
    expect(new Histogram().quantile(0.5)).toBeNaN();
  });

  it('spreads from the least to the most', () => {
    expect(spread([3, 9, 4])).toEqual({ median: 4, min: 3, max: 9 });
  });

  it('finds the slope of a line through noise that cancels out', () => {
    expect(slope([0, 1, 2, 3].map((x) => ({ x, y: 7 * x + 100 })))).toBeCloseTo(7);
    expect(
      slope([
        { x: 0, y: 1 },
        { x: 1, y: 0 },
        { x: 1, y: 4 },
        { x: 2, y: 3 },
      ]),
    ).toBeCloseTo(1);
  });

  it('counts durations in buckets that no quantile falls below', () => {
    const histogram = new Histogram();
    for (let ms = 0; ms < 100; ms += 1) histogram.add(ms);
    expect(histogram.quantile(0.5)).toBeCloseTo(49.1);
    expect(histogram.quantile(0.99)).toBeCloseTo(98.1);
    histogram.add(5_000.4);
    expect(histogram.quantile(1)).toBe(5_001);
  });

  it('adds the counts of another process', () => {
    const [here, there] = [new Histogram(), new Histogram()];
    here.add(1);
    there.add(300);
    there.add(1e9);
    here.merge(there.pack());
    expect(here.count).toBe(3);
    expect(here.quantile(0.5)).toBe(301);
    here.clear();
    expect(here.count).toBe(0);
    expect(here.quantile(1)).toBeNaN();
  });
});
