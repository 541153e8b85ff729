import fc from 'fast-check';
import { expect, test } from 'vitest';
import { agreeTiming, LIMITS } from '../../shared/index.ts';

const hub = fc
  .record({ intervalMs: fc.integer({ min: 100, max: 600_000 }), times: fc.integer({ min: 3, max: 1_000 }) })
  .map(({ intervalMs, times }) => ({
    intervalMs,
    timeoutMs: Math.min(intervalMs * times, LIMITS.longestTimeoutMs),
  }));

test('[REG-13] whatever an agent asks for, it beats no faster than the hub wants, and may miss as many', () => {
  fc.assert(
    fc.property(hub, fc.option(fc.integer({ min: 1, max: 86_400_000 }), { nil: undefined }), (own, asked) => {
      const agreed = agreeTiming(own, asked);
      expect(agreed.intervalMs).toBeGreaterThanOrEqual(own.intervalMs);
      expect(agreed.intervalMs).toBeLessThanOrEqual(LIMITS.longestIntervalMs);
      const inRatio = Math.round((agreed.intervalMs * own.timeoutMs) / own.intervalMs);
      expect(agreed.timeoutMs).toBe(Math.min(inRatio, LIMITS.longestTimeoutMs));
      expect(agreed.timeoutMs).toBeGreaterThanOrEqual(3 * agreed.intervalMs - 1);
      if (asked === undefined || asked <= own.intervalMs) expect(agreed).toEqual(own);
    }),
  );
});
