/** The beats of a session since its agent was sent a shorter interval. Milliseconds of hub time. */
export interface Rhythm {
  readonly sentAt: number;
  /** The newest beat since; the next one is measured from there. */
  beatAt: number | undefined;
  /** Beats in a row with a distance of one interval. */
  inRow: number;
}

/** A ping and its stats are one beat: two signals closer than this share of the interval. */
const APART = 0.5;

/** Less than the smallest step between two intervals, so that the old rhythm does not pass for the new one. */
const LATE = 1.15;

/** One may be chance: a delayed beat of the old rhythm, and the next one. */
const IN_ROW = 2;

/** The agent was sent a shorter interval at this moment of hub time. */
export function newRhythm(sentAt: number): Rhythm {
  return { sentAt, beatAt: undefined, inRow: 0 };
}

/**
 * Whether the session beats in the interval that its agent was sent. To be called several times an interval, with the
 * time of the newest beat. The proof is beats one interval apart: the agent's behaviour, not the message to it.
 */
export function beatsIn(rhythm: Rhythm, lastBeatAt: number, intervalMs: number): boolean {
  if (lastBeatAt <= rhythm.sentAt) return false;
  const gapMs = rhythm.beatAt === undefined ? Number.POSITIVE_INFINITY : lastBeatAt - rhythm.beatAt;
  if (gapMs < APART * intervalMs) return false;
  rhythm.inRow = gapMs <= LATE * intervalMs ? rhythm.inRow + 1 : 0;
  rhythm.beatAt = lastBeatAt;
  return rhythm.inRow >= IN_ROW;
}
