import { CLOSE, type CloseCode } from '../../shared/index.ts';
import { decideReturn, decideSilence } from '../rules/liveness.ts';
import { decideMerge, lostNode } from '../rules/restore.ts';
import { shortSession } from '../runtime/log.ts';
import {
  type BeatAnswer,
  type LogEntry,
  type LostNode,
  type NodeRecord,
  type NotRestored,
  type RefusedBeat,
  type SilentNode,
  type Stored,
  withTiming,
} from '../store/fleet-store.ts';
import { type FleetContext, newerRecord } from './context.ts';
import { LONGEST_FLUSH_MS } from './heartbeats.ts';
import type { Decide } from './node-writes.ts';
import { endedBy, type LiveSession, supersededBy, vouchFor } from './sessions.ts';

const ONLY_HERE: ReadonlySet<string> = new Set();

/** Sessions whose nodes are read again at a time. */
const RECHECK_PAGE = 100;

/**
 * How long somebody may be overdue who is alive and whose socket another hub holds, where the store's answers took so
 * long: a heartbeat waits for the one before it and then travels itself. A node beats three times a timeout; half of one is left to that, the rest to its
 * own way here.
 */
export function patienceMs(timeoutMs: number, slowestMs: number): number {
  return Math.max(0, 2 * slowestMs - timeoutMs / 2);
}

/** Guards the fleet's liveness: who is silent, who came back, whose session is over, and what the store lost. */
export class Guardian {
  readonly #context: FleetContext;

  constructor(context: FleetContext) {
    this.#context = context;
  }

  /** What the store said of written heartbeats: nodes that came back, and sessions that it does not know. */
  async answered(shard: number, answer: BeatAnswer | undefined): Promise<void> {
    if (!answer || answer === 'epoch') return;
    const toRestore: LostNode[] = [];
    const superseded: LiveSession[] = [];
    for (const refused of answer.refused) {
      const lost = this.#refused(refused, superseded);
      if (lost) toRestore.push(lost);
    }
    if (toRestore.length > 0) await this.merge(await this.#context.store.restore(shard, toRestore));
    await Promise.all([
      ...answer.returned.map((id) => this.#returned(id)),
      ...superseded.map(async (session) =>
        this.#rechecked(session, await this.#context.store.read(session.nodeId)),
      ),
    ]);
  }

  /**
   * Ends a session that the store says is over, once it is known who superseded it; else the store lost it, and it is
   * to be put back.
   */
  #refused(refused: RefusedBeat, superseded: LiveSession[]): LostNode | undefined {
    const session = this.#context.sessions.get(refused.id);
    if (!session || session.leaving || session.session !== refused.session) return undefined;
    const { sessionSeq } = session.record;
    if (refused.by === 'session' && refused.storedSessionSeq >= sessionSeq) {
      superseded.push(session);
      return undefined;
    }
    if (refused.by === 'tombstone' && refused.storedVersion >= sessionSeq)
      return this.#end(session, CLOSE.removed);
    this.#context.log.warn(
      { nodeId: refused.id },
      'The store lost the session of a connected node; putting it back',
    );
    return lostNode(withTiming(session.record, session.timing), this.#context.storeNow(refused.id));
  }

  #end(session: LiveSession, code: CloseCode): undefined {
    const { nodeId } = session;
    this.#context.log.info(
      { nodeId, session: shortSession(session.session), code: code.code },
      `Session ended: ${code.reason}`,
    );
    this.#context.heartbeats.drop(session);
    this.#context.sessions.detach(session);
    session.link.end(code);
  }

  async #returned(id: string): Promise<void> {
    const { sessions, writes, storeNow, clock, log } = this.#context;
    const session = sessions.get(id);
    if (!session || session.ended) return;
    const at = storeNow(id) - (clock.now() - session.lastBeatAt);
    const beat = { session: session.session, at, connection: session.connection };
    const settled = await writes.settle(id, (stored, stamp) => decideReturn(stored, beat, stamp));
    if (settled.kind !== 'done') return;
    session.record = settled.change.record;
    log.info({ nodeId: id, to: settled.change.event.to }, 'Node is back: its heartbeats resumed');
  }

  /** An event of the log: it ends a session here that it supersedes or removes. */
  followed(entry: LogEntry): void {
    const { event } = entry;
    this.#context.sessions.heard(entry);
    const session = this.#context.sessions.get(event.nodeId);
    if (!session) return;
    session.doubts += 1;
    if (session.leaving) return;
    if (event.type !== 'removed' && entry.record.session === session.session) {
      vouchFor(session, event.node);
      // The view's own copy, also of what this hub itself wrote: one record a node is kept in memory.
      const record = this.#context.view.get(event.nodeId) ?? entry.record;
      if (record.node.seq < session.record.node.seq) return;
      session.record = record;
      session.connection = record.node.connection ?? session.connection;
      // Whoever wrote it may not have heard of the timing that this hub gave since.
      this.#context.pacing.show(session);
    } else {
      const code = endedBy(entry, session);
      if (code) this.#end(session, code);
    }
  }

  /**
   * What became of this hub's sessions while it did not follow their shard: it looks again what speaks for each
   * node. Only where it keeps no view, which was loaded afresh and knows. Throws `StoreAwayError`.
   */
  async recheck(shard: number): Promise<void> {
    const { store, sessions, view } = this.#context;
    if (view.keepsRecords) return;
    const all = [...sessions.ofShard(shard)];
    for (let from = 0; from < all.length; from += RECHECK_PAGE) {
      const page = all.slice(from, from + RECHECK_PAGE);
      await Promise.all(
        page.map(async (session) => this.#rechecked(session, await store.read(session.nodeId))),
      );
    }
  }

  #rechecked(session: LiveSession, stored: Stored): void {
    if (session.ended || session.leaving) return;
    const { node, sessionSeq } = session.record;
    if (stored.kind === 'gone') {
      if (stored.tombstone.version >= sessionSeq) this.#end(session, CLOSE.removed);
    } else if (stored.kind === 'node') {
      const { record } = stored;
      if (record.session !== session.session) {
        if (record.sessionSeq >= sessionSeq) this.#end(session, supersededBy(record, session.record));
      } else if (record.node.seq > node.seq) {
        session.record = record;
        this.#context.pacing.show(session);
      }
    }
  }

  /** Judges silent nodes, and returns how many may not be judged yet. */
  async judge(silent: readonly SilentNode[], storeSince: number, slowestMs: number): Promise<number> {
    const { clock, pacing } = this.#context;
    const seenMs = clock.now() - storeSince;
    const due = silent.filter(
      (node) =>
        seenMs >= Math.max(node.record.node.heartbeat.timeoutMs, pacing.likelyTimeoutMs) &&
        !this.#beatWaits(node) &&
        (this.#isHere(node) || node.overdueMs >= patienceMs(node.record.node.heartbeat.timeoutMs, slowestMs)),
    );
    if (due.length === 0) return silent.length;
    // The leases matter for the sockets of other hubs only, and cost a round trip.
    const hubs = due.every((node) => this.#isHere(node)) ? ONLY_HERE : await this.#context.presence.holders();
    const judged = await Promise.all(due.map((node) => this.#judge(node, hubs)));
    return silent.length - judged.filter(Boolean).length;
  }

  /** This hub holds the node's socket, so that it knows of heartbeats that the store has not received yet. */
  #isHere({ record }: SilentNode): boolean {
    const { hubId, sessions } = this.#context;
    const session = sessions.get(record.node.id);
    return (
      session !== undefined &&
      !session.ended &&
      session.session === record.session &&
      record.node.connection?.hubId === hubId
    );
  }

  /** A heartbeat of this node came in time but waits to be written, here or on the hub that holds its socket. */
  #beatWaits({ record, overdueMs }: SilentNode): boolean {
    const { clock, hubId, sessions } = this.#context;
    const { id, connection } = record.node;
    if (connection?.transport !== 'websocket') return false;
    if (connection.hubId !== hubId) return overdueMs < LONGEST_FLUSH_MS;
    const session = sessions.get(id);
    if (session === undefined || session.ended) return false;
    return clock.now() - session.lastBeatAt < session.timing.timeoutMs;
  }

  /** A conflict is not decided again: the next look brings the node with its new deadline. */
  async #judge(node: SilentNode, hubs: ReadonlySet<string>): Promise<boolean> {
    const { store, storeNow, log, hubId } = this.#context;
    const { id, connection } = node.record.node;
    const hubIsGone = connection !== null && connection.hubId !== hubId && !hubs.has(connection.hubId);
    const change = decideSilence(node, hubIsGone, { now: storeNow(id), changeId: store.newChangeId() });
    if (!change) return false;
    const outcome = await store.commit(change);
    if (outcome !== 'done') return outcome === 'conflict';
    const { to, reason } = change.event;
    log.warn({ nodeId: id, to, reason }, `Node missed heartbeat, marking as ${String(to).toUpperCase()}`);
    return true;
  }

  /** Puts back what this hub knows of a node. Throws `StoreAwayError` and `LostDataError`. */
  async putBack(id: string): Promise<void> {
    const { store, sessions, storeNow, view } = this.#context;
    const session = sessions.get(id);
    if (session) session.doubts += 1;
    const record = newerRecord(session && withTiming(session.record, session.timing), view.get(id));
    if (!record) return;
    const shard = store.shardOf(id);
    const lost = lostNode(record, storeNow(id), view.tombstones.removalOf(shard, id));
    await this.merge(await store.restore(shard, [lost]));
  }

  /**
   * The store was away: removals whose end in the log this hub has not read may be lost without a trace. Throws
   * `StoreAwayError` and `LostDataError`.
   */
  async putBackRemovals(shard: number): Promise<void> {
    const { store, view } = this.#context;
    const lost = view.tombstones.unread(shard).map((tombstone): LostNode => ({ kind: 'gone', tombstone }));
    if (lost.length > 0) await this.merge(await store.restore(shard, lost));
  }

  /** What this hub can put back into a shard: all it knows where its view was live, else its own sessions. */
  lost(shard: number, viewIsWhole: boolean): LostNode[] {
    const { view, sessions, storeNow } = this.#context;
    const records = new Map<string, NodeRecord>();
    if (viewIsWhole)
      for (const record of view.recordsOf(shard)) records.set(record.node.id, this.#cautious(record));
    for (const { nodeId, record, timing } of sessions.ofShard(shard)) {
      const seen = records.get(nodeId);
      const newest = !seen || record.node.seq > seen.node.seq ? record : seen;
      records.set(nodeId, newest.session === record.session ? withTiming(newest, timing) : newest);
    }
    const lost: LostNode[] = [];
    // However old it is: what registered after the removal stands all the same.
    for (const tombstone of view.tombstones.ofShard(shard)) {
      lost.push({ kind: 'gone', tombstone });
      const record = records.get(tombstone.id);
      if (record && record.node.seq < tombstone.version) records.delete(tombstone.id);
    }
    for (const record of records.values())
      lost.push(lostNode(record, storeNow(record.node.id), view.tombstones.removalOf(shard, record.node.id)));
    return lost;
  }

  /**
   * The hub that holds this node's socket may have given it a longer timeout than this hub knows: it gets the longest,
   * until that hub writes a better one. So does an unreachable node, which may have registered on another hub since.
   */
  #cautious(record: NodeRecord): NodeRecord {
    const { longest } = this.#context.pacing;
    const { heartbeat, connection, status } = record.node;
    if (status === 'offline' || connection?.transport === 'http') return record;
    if (heartbeat.timeoutMs >= longest.timeoutMs) return record;
    return withTiming(record, longest);
  }

  /** Merges nodes that the store holds otherwise than this hub knew them. */
  async merge(unmerged: readonly NotRestored[]): Promise<void> {
    const { writes } = this.#context;
    await Promise.all(
      unmerged.map(({ lost, stored }) => {
        const id = lost.kind === 'node' ? lost.record.node.id : lost.tombstone.id;
        const decide: Decide = (now, stamp) => decideMerge({ lost, stored: now }, stamp);
        return writes.settle(id, decide, () => stored);
      }),
    );
  }
}
