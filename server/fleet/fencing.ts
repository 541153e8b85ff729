import { CLOSE, type CloseCode } from '../../shared/index.ts';
import { decideReturn } from '../rules/liveness.ts';
import { lostNode } from '../rules/restore.ts';
import { shortSession } from '../runtime/log.ts';
import {
  type BeatAnswer,
  type LogEntry,
  type LostNode,
  type Stored,
  withTiming,
} from '../store/fleet-store.ts';
import type { FleetCore } from './core.ts';
import type { Pacing } from './pacing.ts';
import type { Recovery } from './recovery.ts';
import { endedBy, type LiveSession, supersededBy, whyRefused } from './sessions.ts';

/** Sessions whose nodes are read again at a time. */
const RECHECK_PAGE = 100;

/**
 * Limits this hub's sessions to the current sessions of their nodes. A session is over when the log, the store's answer
 * to a heartbeat, or a read shows a newer registration or a removal. A session that the store merely lost is restored,
 * and a heartbeat of an unreachable or offline node brings the node back.
 */
export class Fencing {
  readonly #core: FleetCore;
  readonly #pacing: Pacing;
  readonly #recovery: Recovery;

  constructor(core: FleetCore, pacing: Pacing, recovery: Recovery) {
    this.#core = core;
    this.#pacing = pacing;
    this.#recovery = recovery;
  }

  /** An entry of the log was applied to the view. */
  followed(entry: LogEntry): void {
    const { sessions, view } = this.#core;
    const { event } = entry;
    sessions.followed(entry);
    const session = sessions.get(event.nodeId);
    if (!session) return;
    session.confirmAgain();
    if (session.leaving) return;
    if (event.type !== 'removed' && entry.record.session === session.session) {
      session.confirmedByLog(event.node);
      // The view's own copy, even of a record that this hub wrote: one record per node is kept in memory.
      session.take(view.get(event.nodeId) ?? entry.record);
      // The writer may not have known the newest timing of this hub.
      this.#pacing.show(session);
    } else {
      const code = endedBy(entry, session);
      if (code) this.#end(session, code);
    }
  }

  /** The store answered heartbeats of a shard. Throws `StoreAwayError` and `LostDataError`. */
  async answered(shard: number, answer: Exclude<BeatAnswer, 'epoch'>): Promise<void> {
    const { store } = this.#core;
    const lost: LostNode[] = [];
    const superseded: LiveSession[] = [];
    for (const refused of answer.refused) {
      const session = this.#core.sessions.get(refused.id);
      if (!session || session.leaving || session.session !== refused.session) continue;
      const why = whyRefused(refused, session.record);
      if (why === 'superseded') superseded.push(session);
      else if (why === 'removed') this.#end(session, CLOSE.removed);
      else lost.push(this.#lostSession(session));
    }
    await this.#recovery.restore(shard, lost);
    await Promise.all([
      ...answer.returned.map((id) => this.#returned(id)),
      // The record identifies the registration that superseded the session.
      ...superseded.map(async (session) => this.#compare(session, await store.read(session.nodeId))),
    ]);
  }

  /**
   * The shard was not followed for a while: this hub's sessions are compared with the stored records. Needed only
   * without a view, as a view was loaded afresh. Throws `StoreAwayError`.
   */
  async recheck(shard: number): Promise<void> {
    const { store, sessions, view } = this.#core;
    if (view.keepsRecords) return;
    const all = [...sessions.ofShard(shard)];
    for (let from = 0; from < all.length; from += RECHECK_PAGE) {
      const page = all.slice(from, from + RECHECK_PAGE);
      await Promise.all(
        page.map(async (session) => this.#compare(session, await store.read(session.nodeId))),
      );
    }
  }

  #compare(session: LiveSession, stored: Stored): void {
    if (session.ended || session.leaving) return;
    const { node, sessionSeq } = session.record;
    if (stored.kind === 'gone') {
      if (stored.tombstone.version >= sessionSeq) this.#end(session, CLOSE.removed);
    } else if (stored.kind === 'node') {
      const { record } = stored;
      if (record.session !== session.session) {
        if (record.sessionSeq >= sessionSeq) this.#end(session, supersededBy(record, session.record));
      } else if (record.node.seq > node.seq) {
        session.take(record);
        this.#pacing.show(session);
      }
    }
  }

  #lostSession({ nodeId, record, timing }: LiveSession): LostNode {
    const { log, shards } = this.#core;
    log.warn({ nodeId }, 'The store lost the session of a connected node; putting it back');
    return lostNode(withTiming(record, timing), shards.of(nodeId).storeNow());
  }

  /** The node was unreachable or offline, and beats. */
  async #returned(id: string): Promise<void> {
    const { sessions, writes, shards, clock, log } = this.#core;
    const session = sessions.get(id);
    if (!session || session.ended) return;
    const at = shards.of(id).storeNow() - (clock.now() - session.lastBeatAt);
    const beat = { session: session.session, at, connection: session.connection };
    const settled = await writes.settle(id, (stored, stamp) => decideReturn(stored, beat, stamp));
    if (settled.kind !== 'done') return;
    session.take(settled.change.record);
    log.info({ nodeId: id, to: settled.change.event.to }, 'Node is back: its heartbeats resumed');
  }

  #end(session: LiveSession, code: CloseCode): void {
    const { log, sessions } = this.#core;
    const { nodeId } = session;
    log.info(
      { nodeId, session: shortSession(session.session), code: code.code },
      `Session ended: ${code.reason}`,
    );
    sessions.detach(session);
    session.link.end(code);
  }
}
