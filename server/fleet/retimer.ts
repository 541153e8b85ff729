import type { HeartbeatTiming } from '../../shared/index.ts';
import { LostDataError, type RetimeAnswer, type Retiming } from '../store/fleet-store.ts';
import type { FleetCore } from './core.ts';
import { isAway } from './node-writes.ts';
import type { LiveSession } from './sessions.ts';

/** Writes the timings of live sessions, in batches. */
export class Retimer {
  readonly #core: FleetCore;
  /** Sessions whose new timing is on its way to the store. */
  readonly #busy = new Set<LiveSession>();
  /** Sessions with a failed write: the store may hold either timing. */
  readonly #unsure = new WeakSet<LiveSession>();

  constructor(core: FleetCore) {
    this.#core = core;
  }

  /** Its new timing is on its way to the store. */
  busy(session: LiveSession): boolean {
    return this.#busy.has(session);
  }

  /** The store may hold another timing than the session: it must be written before its agent gets another. */
  unsure(session: LiveSession): boolean {
    return this.#unsure.has(session);
  }

  /** Writes the present timings of these sessions of a shard. Throws `StoreAwayError` and `LostDataError`. */
  async rewrite(shard: number, sessions: readonly LiveSession[]): Promise<void> {
    if (sessions.length === 0) return;
    const { clock, store, log } = this.#core;
    const now = clock.now();
    const retimings = sessions.map((session) => retimingOf(session, session.timing, now));
    try {
      if ((await store.retime(shard, retimings)) === 'epoch') {
        throw new LostDataError(`shard ${shard} lost its data`);
      }
    } catch (error) {
      if (isAway(error)) throw error;
      // A store that refuses only this is still in reach: the timings are written when a change needs them.
      for (const session of sessions) this.#unsure.add(session);
      log.error({ err: error, shard }, 'Could not write heartbeat timings');
    }
  }

  /**
   * Writes other timings and returns the sessions that have them now. A session's heartbeats are written with the new
   * timeout from before the call: a heartbeat on its way meanwhile must not bring back the old one.
   */
  async write(
    shard: number,
    sessions: readonly LiveSession[],
    timingOf: (session: LiveSession) => HeartbeatTiming,
    withHeartbeat: boolean,
  ): Promise<LiveSession[]> {
    const now = this.#core.clock.now();
    const before = sessions.map((session) => ({ session, was: session.timing, is: timingOf(session) }));
    for (const { session, is } of before) {
      session.timing = is;
      this.#busy.add(session);
    }
    const retimings = before.map(({ session, is }) => ({
      ...retimingOf(session, is, now),
      ...(!withHeartbeat && { ttlMs: 0 }),
    }));
    const answer = await this.#retime(shard, retimings);
    const refused = answer === 'epoch' ? undefined : new Set(answer.refused);
    const written: LiveSession[] = [];
    for (const { session, was, is } of before) {
      this.#busy.delete(session);
      // Written again meanwhile, at its agent's request.
      if (session.timing !== is || session.ended) continue;
      if (refused && !refused.has(session.nodeId)) {
        this.#unsure.delete(session);
        written.push(session);
      } else {
        this.#unsure.add(session);
        session.timing = was;
      }
    }
    return written;
  }

  /** `epoch` also if the shard is out of reach. */
  async #retime(shard: number, retimings: readonly Retiming[]): Promise<RetimeAnswer> {
    const { store, shards, log } = this.#core;
    if (retimings.length === 0 || !shards.at(shard).usable) return 'epoch';
    try {
      const answer = await store.retime(shard, retimings);
      if (answer === 'epoch') shards.at(shard).recheck();
      return answer;
    } catch (error) {
      shards.at(shard).recheck();
      if (!isAway(error)) {
        log.error({ err: error, shard }, 'Could not write heartbeat timings');
      }
      return 'epoch';
    }
  }
}

function retimingOf({ nodeId: id, session, lastBeatAt }: LiveSession, timing: HeartbeatTiming, now: number) {
  return { id, session, timing, ttlMs: timing.timeoutMs - Math.max(0, now - lastBeatAt) };
}
