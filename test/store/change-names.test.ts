import { expect, test } from 'vitest';
import { ChangeNames } from '../../server/store/change-names.ts';

test('all names differ, and those of one hub begin alike', () => {
  const [one, other] = [new ChangeNames(), new ChangeNames()];
  const names = Array.from({ length: 1_000 }, () => [one.next(), other.next()]).flat();
  expect(new Set(names).size).toBe(2_000);
  expect(one.mark).not.toBe(other.mark);
  for (const [n, name] of names.entries()) {
    expect(name).toMatch(/^[\w-]{16}$/);
    expect(name.startsWith((n % 2 === 0 ? one : other).mark)).toBe(true);
  }
});
