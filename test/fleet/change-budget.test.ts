import { describe, expect, test } from 'vitest';
import { ChangeBudget } from '../../server/fleet/change-budget.ts';
import type { Reason } from '../../shared/index.ts';

function spend(budget: ChangeBudget, times: number, now = 0, reason: Reason = 'reconnected', nodeId = 'n-1') {
  for (let time = 0; time < times; time += 1) budget.followed({ nodeId, reason }, now);
}

describe('the changes that an agent may cause', () => {
  test.each([
    // changes, reason, wait for the next
    [0, 'reconnected', 0],
    [59, 'reconnected', 0],
    [60, 'reconnected', 5_000],
    [61, 'superseded', 10_000],
    [60, 'connection_lost', 5_000],
    [60, 'condition_failed', 5_000],
    [60, 'deregistered', 5_000],
    [1_000, 'registered', 60_000],
    [1_000, 'hub_lost', 0],
    [1_000, 'heartbeat_timeout', 0],
    [1_000, 'removed_by_operator', 0],
    [1_000, 'store_restored', 0],
  ] as const)('[LIM-28] after %i by %s the next one waits %i ms', (times, reason, waitMs) => {
    const budget = new ChangeBudget();
    spend(budget, times, 0, reason);
    expect(budget.waitMs('n-1', 0)).toBe(waitMs);
    expect(budget.waitMs('n-2', 0)).toBe(0);
  });

  test('[LIM-28] one in five seconds goes on for ever, and rest brings all of them back', () => {
    const budget = new ChangeBudget();
    spend(budget, 60);
    for (let now = 5_000; now <= 500_000; now += 5_000) {
      expect(budget.waitMs('n-1', now)).toBe(0);
      spend(budget, 1, now);
      expect(budget.waitMs('n-1', now)).toBe(5_000);
    }
    expect(budget.waitMs('n-1', 505_000)).toBe(0);
    spend(budget, 59, 900_000);
    expect(budget.waitMs('n-1', 900_000)).toBe(0);
  });

  test('[LIM-28] nodes that have all they may spend are forgotten, and no more are remembered than can be kept', () => {
    const budget = new ChangeBudget();
    for (let n = 0; n < 120_000; n += 1) spend(budget, 1, 0, 'registered', `n-${n}`);
    expect(budget.size).toBe(100_000);
    for (let n = 0; n < 60_000; n += 1) spend(budget, 1, 10_000, 'reconnected', 'n-1');
    expect(budget.size).toBeLessThan(10);
  });
});
