import { describe, expect, test } from 'vitest';
import { Newcomers } from '../../server/fleet/newcomers.ts';

function admitted(newcomers: Newcomers, asked: number, token: string, now: number): number {
  let count = 0;
  for (let n = 0; n < asked; n += 1) count += newcomers.refusal(token, now) ? 0 : 1;
  return count;
}

describe('new nodes', () => {
  test('[ADM-10] 600 a minute by each token over a burst of 20,000', () => {
    const newcomers = new Newcomers(1_000_000, () => 0);
    expect(admitted(newcomers, 25_000, 'token-1', 0)).toBe(20_000);
    expect(admitted(newcomers, 1_000, 'token-1', 60_000)).toBe(600);
    expect(admitted(newcomers, 1_000, 'token-2', 60_000)).toBe(1_000);
    const refused = newcomers.refusal('token-1', 60_000);
    expect(refused?.code).toBe('too_many_new_nodes');
    expect(refused?.retryAfterMs).toBeGreaterThanOrEqual(10_000);
    expect(refused?.retryAfterMs).toBeLessThanOrEqual(20_000);
  });

  test('[ADM-9] none beyond those that the fleet may have', () => {
    let nodes = 9;
    const newcomers = new Newcomers(10, () => nodes);
    expect(newcomers.refusal('token-1', 0)).toBeUndefined();
    nodes = 10;
    expect(newcomers.refusal('token-1', 0)).toMatchObject({ code: 'fleet_full' });
  });
});
