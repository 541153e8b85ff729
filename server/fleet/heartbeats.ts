import type { NodeStats } from '../../shared/index.ts';
import type { Beat, BeatAnswer, FleetStore, Position } from '../store/fleet-store.ts';
import type { LiveSession } from './sessions.ts';

/** How often some of the shards have their heartbeats written. */
export const FLUSH_TURN_MS = 100;
const MOST_FLUSH_TURNS = 5;
/** Heartbeats wait in a hub for this long at most before they are written. */
export const LONGEST_FLUSH_MS = MOST_FLUSH_TURNS * FLUSH_TURN_MS;
/** Of a timeout, what a hub that dies may lose of it. */
const FLUSH_PART = 1 / 100;

/**
 * In how many turns all shards have their heartbeats written, with this timeout, and so how long each waits. As they
 * are written with what is left of the timeout, each ends when it should. What waits together costs Redis less, and of a
 * node that beats more often only the newest is written; in turns, so that ten thousand do not hold up one turn.
 */
export function flushTurns(timeoutMs: number): number {
  return Math.min(MOST_FLUSH_TURNS, Math.max(1, Math.floor((timeoutMs * FLUSH_PART) / FLUSH_TURN_MS)));
}

/**
 * Heartbeats that wait to be written: of each live session the newest time and the newest stats, so that it
 * is bounded by the number of sessions however long the store is away. A heartbeat writes two fields and
 * touches one array.
 */
export class Heartbeats {
  readonly #waiting: LiveSession[][];
  /** Heartbeats of sessions that are over, which are to last until this hub time all the same. */
  readonly #owed: Array<Array<{ session: LiveSession; until: number }>>;

  constructor(shards: number) {
    this.#waiting = Array.from({ length: shards }, () => []);
    this.#owed = Array.from({ length: shards }, () => []);
  }

  /** Notes a heartbeat, with stats where it brought some. */
  note(session: LiveSession, now: number, stats?: NodeStats): void {
    session.lastBeatAt = now;
    if (stats !== undefined) session.waitingStats = stats;
    if (session.beatWaits) return;
    session.beatWaits = true;
    this.#waiting[session.shard]?.push(session);
  }

  /** What was written does not last as long as it should: the newest heartbeats are written once more. */
  writeAgain(sessions: Iterable<LiveSession>): void {
    for (const session of sessions) if (!session.ended) this.note(session, session.lastBeatAt);
  }

  /**
   * The close of this session is held back until this hub time: no hub is to call the node silent before. Written once;
   * whoever registered meanwhile is not touched by it.
   */
  owe(session: LiveSession, until: number): void {
    this.#owed[session.shard]?.push({ session, until });
  }

  /** Whether there may be something to write of a shard. */
  someWait(shard: number): boolean {
    return (this.#waiting[shard]?.length ?? 0) + (this.#owed[shard]?.length ?? 0) > 0;
  }

  /** Forgets what waits of a session: after its close, an earlier heartbeat must not refresh the node. */
  drop(session: LiveSession): void {
    session.beatWaits = false;
    session.waitingStats = undefined;
  }

  /**
   * Writes what waits of a shard, whose log was followed as far as `followed`. What could not be written waits
   * on, merged with what came meanwhile.
   */
  async flush(
    store: FleetStore,
    shard: number,
    now: number,
    followed: Position | undefined,
  ): Promise<BeatAnswer | undefined> {
    const taken = this.#waiting[shard];
    const owed = this.#owed[shard];
    if (!taken || !owed || taken.length + owed.length === 0) return undefined;
    this.#waiting[shard] = [];
    const beats = taken.map((session) => takeBeat(session, now)).filter((beat) => beat !== undefined);
    for (const { session, until } of owed.splice(0)) {
      const { nodeId: id, session: of } = session;
      const ttlMs = until - now;
      if (ttlMs > 0)
        beats.push({ session, stats: undefined, beat: { id, session: of, ttlMs, vouched: false } });
    }
    if (beats.length === 0) return undefined;
    const checks = toBeChecked(beats);
    try {
      const answer = await store.beat(
        shard,
        beats.map(({ beat }) => beat),
        followed,
      );
      if (answer === 'epoch') this.#putBack(shard, beats);
      else noteChecked(checks, answer);
      return answer;
    } catch (error) {
      this.#putBack(shard, beats);
      throw error;
    }
  }

  /** The log was lost or not followed for a while, or a while has passed: every heartbeat is to be checked again. */
  doubt(sessions: Iterable<LiveSession>): void {
    for (const session of sessions) session.doubts += 1;
  }

  #putBack(shard: number, beats: readonly TakenBeat[]): void {
    for (const { session, stats } of beats) {
      if (session.ended) continue;
      session.waitingStats ??= stats;
      if (session.beatWaits) continue;
      session.beatWaits = true;
      this.#waiting[shard]?.push(session);
    }
  }
}

/** A heartbeat on its way to the store, with what is to be put back where it does not arrive. */
interface TakenBeat {
  session: LiveSession;
  stats: NodeStats | undefined;
  beat: Beat;
}

/** The waiting heartbeat of a session, or nothing where it closed or is too old to count. */
function takeBeat(session: LiveSession, now: number): TakenBeat | undefined {
  if (!session.beatWaits || session.ended) return undefined;
  session.beatWaits = false;
  const stats = session.waitingStats;
  session.waitingStats = undefined;
  const ttlMs = session.timing.timeoutMs - Math.max(0, now - session.lastBeatAt);
  if (ttlMs <= 0) return undefined;
  const vouched = session.checkedAt === session.doubts;
  const beat: Beat = { id: session.nodeId, session: session.session, ttlMs, vouched };
  if (stats !== undefined) beat.stats = JSON.stringify(stats);
  return { session, stats, beat };
}

/** Sessions whose heartbeats go to be checked, with their doubts now: what is heard meanwhile is a new doubt. */
function toBeChecked(beats: readonly TakenBeat[]): Array<{ session: LiveSession; doubts: number }> {
  return beats
    .filter(({ beat }) => !beat.vouched)
    .map(({ session }) => ({ session, doubts: session.doubts }));
}

/** The store took these heartbeats: from now on the hub vouches for the sessions, until it hears of their nodes. */
function noteChecked(
  checks: ReadonlyArray<{ session: LiveSession; doubts: number }>,
  { refused, returned }: Exclude<BeatAnswer, 'epoch'>,
): void {
  const notOrdinary = new Set(returned);
  for (const { id } of refused) notOrdinary.add(id);
  for (const { session, doubts } of checks) {
    if (!notOrdinary.has(session.nodeId)) session.checkedAt = doubts;
  }
}
