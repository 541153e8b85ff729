/** The range of intervals for a hub, and the most heartbeats a second of the whole fleet. */
export interface PaceLimits {
  /** The preferred interval: `HEARTBEAT_INTERVAL`, milliseconds. */
  shortestMs: number;
  /** Milliseconds. */
  longestMs: number;
  perSecond: number;
}

/** How long another interval must fit better before it applies, milliseconds. */
export interface PacePatience {
  longerMs: number;
  shorterMs: number;
}

/** The interval of the fleet, and for how long another one would have fitted better. */
export interface Pace {
  intervalMs: number;
  unrest?: { towards: 'longer' | 'shorter'; since: number };
}

/** Each step is longer than the one before by this factor. */
const STEP = 1.25;

/** A shorter interval applies only if it would still fit a fleet larger by this factor. */
const ROOM = 1.1;

/**
 * The interval at which this number of sessions stays within the limit. Intervals are steps of a quarter, in tenths of
 * the shortest one, so that hubs with slightly different counts reach the same result. A step down needs a margin, so
 * that the interval does not waver with a fleet whose size wavers around a step.
 */
export function decideInterval(sessions: number, currentMs: number, limits: PaceLimits): number {
  const neededMs = (sessions / limits.perSecond) * 1_000;
  const clamped = Math.min(Math.max(currentMs, limits.shortestMs), limits.longestMs);
  if (neededMs > clamped) return stepFor(neededMs, limits);
  return Math.min(clamped, stepFor(neededMs * ROOM, limits));
}

/** The first step that is long enough, or the longest. */
function stepFor(neededMs: number, { shortestMs, longestMs }: PaceLimits): number {
  const grain = Math.max(1, Math.round(shortestMs / 10));
  for (let exact = shortestMs; exact < longestMs; exact *= STEP) {
    const step = Math.ceil(exact / grain) * grain;
    if (step >= neededMs) return Math.min(step, longestMs);
  }
  return longestMs;
}

/** The pace after a check of the fleet's size: another interval applies once it has fitted better for long enough. */
export function nextPace(
  pace: Pace,
  sessions: number,
  now: number,
  limits: PaceLimits,
  patience: PacePatience,
): Pace {
  const intervalMs = decideInterval(sessions, pace.intervalMs, limits);
  if (intervalMs === pace.intervalMs) return pace.unrest ? { intervalMs } : pace;
  const towards = intervalMs > pace.intervalMs ? 'longer' : 'shorter';
  const since = pace.unrest?.towards === towards ? pace.unrest.since : now;
  const waitMs = towards === 'longer' ? patience.longerMs : patience.shorterMs;
  if (now - since >= waitMs) return { intervalMs };
  return { intervalMs: pace.intervalMs, unrest: { towards, since } };
}
