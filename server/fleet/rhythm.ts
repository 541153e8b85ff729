/** What was heard of a session since its agent was told a shorter interval. Milliseconds of hub time. */
export interface Rhythm {
  readonly toldAt: number;
  /** The newest beat after it; the next one is measured from there. */
  beatAt: number | undefined;
  /** How many beats in a row came one interval after the one before. */
  inRow: number;
}

/** A ping and its stats are one beat: two that are closer than this share of the interval. */
const APART = 0.5;

/** Less than the smallest step between two intervals, so that the old rhythm is not taken for the new one. */
const LATE = 1.15;

/** Once may be chance: a beat of the old rhythm that was held up somewhere, and the one after it. */
const IN_ROW = 2;

/** The agent was told a shorter interval at this moment of hub time. */
export function newRhythm(toldAt: number): Rhythm {
  return { toldAt, beatAt: undefined, inRow: 0 };
}

/**
 * Whether the session beats in the interval that its agent was told. To be asked several times an interval, with the
 * time of the newest beat. Beats that are one interval apart show it: what an agent does, not what was sent to it.
 */
export function beatsIn(rhythm: Rhythm, lastBeatAt: number, intervalMs: number): boolean {
  if (lastBeatAt <= rhythm.toldAt) return false;
  const gapMs = rhythm.beatAt === undefined ? Number.POSITIVE_INFINITY : lastBeatAt - rhythm.beatAt;
  if (gapMs < APART * intervalMs) return false;
  rhythm.inRow = gapMs <= LATE * intervalMs ? rhythm.inRow + 1 : 0;
  rhythm.beatAt = lastBeatAt;
  return rhythm.inRow >= IN_ROW;
}
