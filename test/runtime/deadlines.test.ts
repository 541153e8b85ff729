import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Dated, Deadlines } from '../../server/runtime/deadlines.ts';

const thing = (): Dated => ({ deadlineSecond: 0 });

describe('deadlines', () => {
  test('what is due is told, and stays until it is moved or taken out', () => {
    const deadlines = new Deadlines();
    const [soon, late] = [thing(), thing()];
    deadlines.set(soon, 1_500);
    deadlines.set(late, 9_000);
    expect([...deadlines.passed(1_999)]).toEqual([]);
    expect([...deadlines.passed(2_000)]).toEqual([soon]);
    deadlines.set(soon, 9_001);
    expect([...deadlines.passed(9_000)]).toEqual([late]);
    deadlines.delete(late);
    deadlines.delete(late);
    expect([...deadlines.all()]).toEqual([soon]);
    expect(deadlines.size).toBe(1);
  });

  test('what is moved ahead or taken out while they are gone through is not told again', () => {
    const deadlines = new Deadlines();
    const things = Array.from({ length: 10 }, thing);
    for (const one of things) deadlines.set(one, 500);
    const told: Dated[] = [];
    for (const one of deadlines.passed(1_000)) {
      told.push(one);
      deadlines.set(one, 1_001);
      const next = things[told.length];
      if (told.length === 5 && next) deadlines.delete(next);
    }
    expect(told).toEqual(things.filter((_, at) => at !== 5));
    expect(deadlines.size).toBe(9);
  });

  test('nobody is told before its time, everybody within a second after it', () => {
    const times = fc.array(fc.tuple(fc.nat(20), fc.nat(60_000)), { maxLength: 100 });
    fc.assert(
      fc.property(times, fc.nat(60_000), (moves, now) => {
        const deadlines = new Deadlines();
        const things = Array.from({ length: 21 }, thing);
        const at = new Map<Dated, number>();
        for (const [index, ms] of moves) {
          const one = things[index];
          if (!one) continue;
          deadlines.set(one, ms);
          at.set(one, ms);
        }
        const passed = new Set(deadlines.passed(now));
        expect(deadlines.size).toBe(at.size);
        for (const [one, ms] of at) {
          if (ms > now) expect(passed.has(one)).toBe(false);
          if (ms <= now - 999) expect(passed.has(one)).toBe(true);
        }
      }),
    );
  });
});
