import type { NodeStats } from '../../shared/index.ts';
import type { Cancel } from '../runtime/clock.ts';
import { LimitedLog } from '../runtime/limited-log.ts';
import { type Beat, type BeatAnswer, LostDataError } from '../store/fleet-store.ts';
import type { FleetCore } from './core.ts';
import type { Fencing } from './fencing.ts';
import { isAway } from './node-writes.ts';
import type { LiveSession } from './sessions.ts';

/** How often the heartbeats of some of the shards are written. */
export const FLUSH_EVERY_MS = 100;
const MOST_ROUNDS = 5;
/** The longest time that a heartbeat waits in a hub before it is written. */
export const LONGEST_FLUSH_MS = MOST_ROUNDS * FLUSH_EVERY_MS;
/** The part of a timeout that the death of a hub may take from it. */
const FLUSH_PART = 1 / 100;

/**
 * Confirmed sessions are compared with the store after this time at the latest: a record may have been deleted by hand.
 */
const CONFIRM_EVERY_MS = 5 * 60_000;

/**
 * The heartbeats of this hub's sessions, from the socket to the store:
 *
 * 1. `note` keeps the newest time and the newest stats of each session: what waits is bounded, however long the store
 *    is away. It writes two fields and touches one array.
 * 2. Every 100 ms some of the shards are flushed (`#flushSome`), each shard within `LONGEST_FLUSH_MS`. A heartbeat is
 *    written with the rest of its timeout, so that it expires on time.
 * 3. `write` sends the waiting heartbeats of a shard in one call. Heartbeats that could not be written wait on, merged
 *    with later ones; the store's answer goes to `Fencing`.
 *
 * A session that is not confirmed (see `LiveSession.confirmed`) has its heartbeat compared with the stored record.
 */
export class Heartbeats {
  readonly #core: FleetCore;
  readonly #fencing: Fencing;
  readonly #log: LimitedLog;
  /** By shard, the sessions with a waiting heartbeat. */
  readonly #waiting: LiveSession[][];
  /** By shard, heartbeats of ended sessions, which are to last until this hub time all the same. */
  readonly #owed: Array<Array<{ session: LiveSession; until: number }>>;
  /** The write in progress of a shard's heartbeats. */
  readonly #underWay = new Map<number, Promise<void>>();
  readonly #rounds: number;
  #round = 0;
  /** The shard whose sessions were last marked for comparison. */
  #confirmedShard = 0;
  #end: Cancel = () => {};

  constructor(core: FleetCore, fencing: Fencing) {
    const { shards } = core.store;
    this.#core = core;
    this.#fencing = fencing;
    this.#log = new LimitedLog(core.clock);
    this.#waiting = Array.from({ length: shards }, () => []);
    this.#owed = Array.from({ length: shards }, () => []);
    this.#rounds = flushRounds(core.timing.timeoutMs);
  }

  start(): void {
    this.#end = this.#core.clock.every(FLUSH_EVERY_MS, () => {
      this.#flushSome();
      this.#confirmSome();
    });
  }

  /** Writes waiting heartbeats, and ends. */
  async stop(): Promise<void> {
    this.#end();
    await this.flush();
  }

  /** Notes a heartbeat, with its stats if any. */
  note(session: LiveSession, now: number, stats?: NodeStats): void {
    session.lastBeatAt = now;
    if (stats !== undefined) session.waitingStats = stats;
    if (session.beatWaits) return;
    session.beatWaits = true;
    this.#waiting[session.shard]?.push(session);
  }

  /**
   * The session is over, but its node's heartbeat is to last until this hub time. Written once; it does not touch a
   * session that registered meanwhile.
   */
  owe(session: LiveSession, until: number): void {
    this.#owed[session.shard]?.push({ session, until });
  }

  /** Heartbeats of this shard last longer or shorter than intended: the newest ones are written again. */
  async rewrite(shard: number): Promise<void> {
    for (const session of this.#core.sessions.ofShard(shard)) this.note(session, session.lastBeatAt);
    // The write in progress began without these.
    await this.#underWay.get(shard);
    await this.write(shard);
  }

  /** The shard's log was lost or not followed for a while: every heartbeat is compared again. */
  confirmAgain(shard: number): void {
    for (const session of this.#core.sessions.ofShard(shard)) session.confirmAgain();
  }

  /** Writes all waiting heartbeats now. Never throws. */
  async flush(): Promise<void> {
    // The write in progress began without the newest ones.
    await Promise.all(this.#underWay.values());
    await Promise.all(this.#core.shards.all.map(({ index }) => this.#flushShard(index)));
  }

  /** Writes the waiting heartbeats of a shard. Throws `StoreAwayError` and `LostDataError`. */
  async write(shard: number): Promise<void> {
    const { shards, clock } = this.#core;
    const beats = this.#take(shard, clock.now());
    if (beats.length === 0) return;
    const compared = beats
      .filter(({ beat }) => !beat.confirmed)
      .map(({ session }) => ({ session, mark: session.mark }));
    const answer = await this.#send(shard, beats);
    shards.answered();
    if (answer === 'epoch') {
      this.#putBack(shard, beats);
      throw new LostDataError(`shard ${shard} lost its data`);
    }
    noteConfirmed(compared, answer);
    await this.#fencing.answered(shard, answer);
  }

  async #send(shard: number, beats: readonly TakenBeat[]): Promise<BeatAnswer> {
    const { store, shards } = this.#core;
    try {
      return await store.beat(
        shard,
        beats.map(({ beat }) => beat),
        shards.at(shard).position,
      );
    } catch (error) {
      this.#putBack(shard, beats);
      throw error;
    }
  }

  #flushSome(): void {
    const { shards } = this.#core;
    this.#round = (this.#round + 1) % this.#rounds;
    for (let index = this.#round; index < shards.all.length; index += this.#rounds) {
      // Checked first: a flush without heartbeats would still make a dozen objects.
      if (shards.at(index).usable && this.#someWait(index)) void this.#flushShard(index);
    }
  }

  #flushShard(shard: number): Promise<void> {
    const underWay = this.#underWay.get(shard);
    if (underWay) return underWay;
    const flushing = this.#tryToWrite(shard).finally(() => this.#underWay.delete(shard));
    this.#underWay.set(shard, flushing);
    return flushing;
  }

  async #tryToWrite(shard: number): Promise<void> {
    try {
      await this.write(shard);
    } catch (error) {
      this.#core.shards.at(shard).recheck();
      if (isAway(error)) return;
      this.#log.say('heartbeats', (more) =>
        this.#core.log.error({ err: error, shard, ...more }, 'Could not write heartbeats'),
      );
    }
  }

  /** One shard after the other, each once in `CONFIRM_EVERY_MS`. */
  #confirmSome(): void {
    const { clock, store } = this.#core;
    const shard = Math.floor((clock.now() / CONFIRM_EVERY_MS) * store.shards) % store.shards;
    if (shard === this.#confirmedShard) return;
    this.#confirmedShard = shard;
    this.confirmAgain(shard);
  }

  #someWait(shard: number): boolean {
    return (this.#waiting[shard]?.length ?? 0) + (this.#owed[shard]?.length ?? 0) > 0;
  }

  #take(shard: number, now: number): TakenBeat[] {
    const waiting = this.#waiting[shard] ?? [];
    const owed = this.#owed[shard]?.splice(0) ?? [];
    if (waiting.length + owed.length === 0) return [];
    this.#waiting[shard] = [];
    const beats = waiting.map((session) => takeBeat(session, now)).filter((beat) => beat !== undefined);
    for (const { session, until } of owed) {
      const { nodeId: id, session: of } = session;
      const ttlMs = until - now;
      if (ttlMs > 0)
        beats.push({ session, stats: undefined, beat: { id, session: of, ttlMs, confirmed: false } });
    }
    return beats;
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

/** A heartbeat on its way to the store, and what to put back if it does not arrive. */
interface TakenBeat {
  session: LiveSession;
  stats: NodeStats | undefined;
  beat: Beat;
}

/** The waiting heartbeat of a session; undefined if the session is over or its timeout has passed. */
function takeBeat(session: LiveSession, now: number): TakenBeat | undefined {
  if (!session.beatWaits || session.ended) return undefined;
  const stats = session.waitingStats;
  session.dropBeat();
  const ttlMs = session.timing.timeoutMs - Math.max(0, now - session.lastBeatAt);
  if (ttlMs <= 0) return undefined;
  const beat: Beat = { id: session.nodeId, session: session.session, ttlMs, confirmed: session.confirmed };
  if (stats !== undefined) beat.stats = JSON.stringify(stats);
  return { session, stats, beat };
}

/** The store took these heartbeats after a comparison: their sessions are confirmed. */
function noteConfirmed(
  compared: ReadonlyArray<{ session: LiveSession; mark: number }>,
  { refused, returned }: Exclude<BeatAnswer, 'epoch'>,
): void {
  const notOrdinary = new Set(returned);
  for (const { id } of refused) notOrdinary.add(id);
  for (const { session, mark } of compared) {
    if (!notOrdinary.has(session.nodeId)) session.confirmedSince(mark);
  }
}

/**
 * The number of rounds in which the heartbeats of all shards are written, which determines how long each waits. Larger
 * batches cost Redis less, and only the newest heartbeat of a node is written.
 */
export function flushRounds(timeoutMs: number): number {
  return Math.min(MOST_ROUNDS, Math.max(1, Math.floor((timeoutMs * FLUSH_PART) / FLUSH_EVERY_MS)));
}
