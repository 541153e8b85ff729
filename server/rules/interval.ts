/** Between which intervals a hub may choose, and how many heartbeats a second the whole fleet may send. */
export interface PaceLimits {
  /** The interval that is wanted: `HEARTBEAT_INTERVAL`, milliseconds. */
  shortestMs: number;
  /** Milliseconds. */
  longestMs: number;
  perSecond: number;
}

/** How long another interval must fit better before it is taken, milliseconds. */
export interface PacePatience {
  longerMs: number;
  shorterMs: number;
}

/** The interval that the fleet is to beat in, and for how long another one would have fitted better. */
export interface Pace {
  intervalMs: number;
  unrest?: { towards: 'longer' | 'shorter'; since: number };
}

/** Each step is so much longer than the one before. */
const STEP = 1.25;

/** A shorter interval is taken only where the fleet could grow by so much and it would still fit. */
const ROOM = 1.1;

/**
 * The interval in which so many sessions stay within the limit. Intervals stand on steps of a quarter, in tenths
 * of the shortest one, so that hubs whose counts differ a little come to the same answer. A step down needs room,
 * so that a fleet whose size wavers around a step does not waver with it.
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

/** The pace after a look at the fleet's size: another interval is taken once it has fitted better for long enough. */
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
