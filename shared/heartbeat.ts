import { z } from 'zod';
import { LIMITS } from './limits.ts';

/** How often a node beats, and after how much silence it is offline. Milliseconds. */
export const heartbeatTimingSchema = z.object({
  intervalMs: z.number().int().positive(),
  timeoutMs: z.number().int().positive(),
});
export type HeartbeatTiming = z.infer<typeof heartbeatTimingSchema>;

/** A node must be able to miss this many heartbeats: timeout >= 3 x interval. */
export const TIMEOUT_INTERVALS = 3;

/**
 * The timing of one node: the hub's own, or the interval that its agent asked for (never shorter than the
 * hub's, never longer than ten minutes) with the timeout in the hub's ratio, of a day at most.
 */
export function agreeTiming(hub: HeartbeatTiming, askedIntervalMs?: number): HeartbeatTiming {
  if (askedIntervalMs === undefined || askedIntervalMs <= hub.intervalMs) return hub;
  const intervalMs = Math.max(
    hub.intervalMs,
    Math.min(Math.round(askedIntervalMs), LIMITS.longestIntervalMs),
  );
  const timeoutMs = Math.round((intervalMs * hub.timeoutMs) / hub.intervalMs);
  return { intervalMs, timeoutMs: Math.min(timeoutMs, LIMITS.longestTimeoutMs) };
}
