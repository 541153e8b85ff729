import { describe, expect, test } from 'vitest';
import { Newcomers } from '../../server/fleet/newcomers.ts';

function admitted(newcomers: Newcomers, asked: number, token: string, now: number): number {
  let count = 0;
  for (let n = 0; n < asked; n += 1) count += newcomers.refusal(token, now) ? 0 : 1;
  return count;
}

describe('new nodes', () => {
  test('[ADM-10] 600 a minute by each token over a burst of 20,000', () => {
    const newcomers = new Newcomers(1_000_000, () => 0, 0);
    expect(admitted(newcomers, 25_000, 'token-1', 0)).toBe(20_000);
    expect(admitted(newcomers, 1_000, 'token-1', 60_000)).toBe(600);
    expect(admitted(newcomers, 1_000, 'token-2', 60_000)).toBe(1_000);
    const refused = newcomers.refusal('token-1', 60_000);
    expect(refused?.code).toBe('too_many_new_nodes');
    expect(refused?.retryAfterMs).toBeGreaterThanOrEqual(10_000);
    expect(refused?.retryAfterMs).toBeLessThanOrEqual(20_000);
  });

  test('[LOSS-8] agents that were registered before are not counted in the first ten minutes of a hub', () => {
    let nodes = 0;
    const newcomers = new Newcomers(30_000, () => nodes, 1_000);
    const taken = (now: number) => newcomers.refusal('token-1', now, true) === undefined;
    for (; nodes < 29_000; nodes += 1) expect(taken(2_000)).toBe(true);
    expect(admitted(newcomers, 30_000, 'token-1', 2_000)).toBe(20_000);
    expect(taken(600_999)).toBe(true);
    nodes = 30_000;
    expect(newcomers.refusal('token-1', 600_999, true)?.code).toBe('fleet_full');
    nodes = 0;
    expect(admitted(newcomers, 1, 'token-1', 601_000)).toBe(1);
    for (let left = 0; left < 20_000; left += 1) newcomers.refusal('token-1', 601_000, true);
    expect(newcomers.refusal('token-1', 601_000, true)?.code).toBe('too_many_new_nodes');
  });

  test('[ADM-9] none beyond those that the fleet may have', () => {
    let nodes = 9;
    const newcomers = new Newcomers(10, () => nodes, 0);
    expect(newcomers.refusal('token-1', 0)).toBeUndefined();
    nodes = 10;
    expect(newcomers.refusal('token-1', 0)).toMatchObject({ code: 'fleet_full' });
  });
});
