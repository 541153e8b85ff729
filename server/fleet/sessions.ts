import {
  CLOSE,
  type CloseCode,
  type Connection,
  type Feature,
  type FleetNode,
  type HeartbeatTiming,
  type HubMessage,
  inContact,
  type NodeStats,
  SUPERSEDED_BY_ITSELF,
} from '../../shared/index.ts';
import type { Principal } from '../rules/principal.ts';
import type { LogEntry, NodeRecord } from '../store/fleet-store.ts';

/** The socket of an agent, as far as the fleet needs to know it. */
export interface Link {
  readonly remoteAddress: string;
  /** Who opened it: somebody who showed nothing, where it is not said. */
  readonly principal?: Principal;
  /** Its agent says that it was registered before. */
  readonly known?: boolean;
  /** Ends the socket with this code. It writes nothing: only the heartbeat judges what follows. */
  end(code: CloseCode): void;
  /** Whether its agent announced this in `register.features`. */
  understands(feature: Feature): boolean;
  /**
   * Sends a message. False where it is not sent: before the registration is answered, after the end, or where the
   * message is only for agents that announced it.
   */
  send(message: HubMessage): boolean;
}

/**
 * A registered agent whose socket this hub holds. One object for the life of the session; the hot path only
 * writes its fields.
 */
export interface LiveSession {
  readonly nodeId: string;
  readonly session: string;
  readonly shard: number;
  connection: Connection;
  readonly link: Link;
  /** By which it is judged: what its record says, never a shorter timeout than its agent knows. */
  timing: HeartbeatTiming;
  /** What its agent was told last. */
  told: HeartbeatTiming;
  /** The interval that its agent asked for. */
  askedIntervalMs: number | undefined;
  /** The newest record that is known to carry this session. */
  record: NodeRecord;
  /** Hub time of the newest heartbeat. */
  lastBeatAt: number;
  /** A heartbeat waits to be written. */
  beatWaits: boolean;
  /** The newest stats that wait to be written. */
  waitingStats: NodeStats | undefined;
  /** How often something was heard of this node that its next heartbeat has to be checked for. */
  doubts: number;
  /**
   * `doubts` when the store last took a checked heartbeat, or the log last said that this session speaks for the
   * node: while they are equal, heartbeats are vouched for.
   */
  checkedAt: number;
  /** The conditions in the record were reported by an earlier instance of the agent. */
  conditionsInherited: boolean;
  /** Its agent asked to be removed: the removal that follows is not to be answered as somebody else's. */
  leaving: boolean;
  ended: boolean;
}

/**
 * The log was followed to where this session speaks for the node as it is now, which is as good as a look at the record
 * in the store. A node that is called gone is not vouched for, so that its heartbeat is looked at and brings it back.
 */
export function vouchFor(session: LiveSession, { status }: FleetNode): void {
  if (inContact(status)) session.checkedAt = session.doubts;
}

/** How a newer registration ends an older session: its agent may be told that it is one of its own. */
export function supersededBy(newer: NodeRecord, older: NodeRecord): CloseCode {
  return newer.instanceId === older.instanceId ? SUPERSEDED_BY_ITSELF : CLOSE.superseded;
}

/** How an entry of the log ends this session: somebody registered after it, or removed its node. */
export function endedBy(
  { event, record }: LogEntry,
  { session, record: own }: LiveSession,
): CloseCode | undefined {
  if (event.seq <= own.sessionSeq) return undefined;
  if (event.type === 'removed') return CLOSE.removed;
  return record.session === session ? undefined : supersededBy(record, own);
}

/** The live sessions of this hub, one per node. */
export class Sessions {
  readonly #byNode = new Map<string, LiveSession>();
  /** By node, the registrations that are being written, and the newest entry of the log that came meanwhile. */
  readonly #expected = new Map<string, { registrations: number; newest: LogEntry | undefined }>();

  get size(): number {
    return this.#byNode.size;
  }

  get(nodeId: string): LiveSession | undefined {
    return this.#byNode.get(nodeId);
  }

  /** Makes this the node's session, and returns the one that it replaces. */
  attach(session: LiveSession): LiveSession | undefined {
    const older = this.#byNode.get(session.nodeId);
    if (older) older.ended = true;
    this.#byNode.set(session.nodeId, session);
    return older;
  }

  /**
   * A registration is being written. The log may tell of a newer one before it is known here that this one was written:
   * the returned function, to be called once the session is attached or will not be, answers the newest such entry.
   */
  expect(nodeId: string): () => LogEntry | undefined {
    const expected = this.#expected.get(nodeId) ?? { registrations: 0, newest: undefined };
    expected.registrations += 1;
    this.#expected.set(nodeId, expected);
    return () => {
      expected.registrations -= 1;
      if (expected.registrations === 0) this.#expected.delete(nodeId);
      return expected.newest;
    };
  }

  /** An entry of the log was followed. */
  heard(entry: LogEntry): void {
    if (this.#expected.size === 0) return;
    const expected = this.#expected.get(entry.event.nodeId);
    if (expected) expected.newest = entry;
  }

  /** The session is over. One that was replaced meanwhile leaves its successor alone. */
  detach(session: LiveSession): void {
    session.ended = true;
    if (this.#byNode.get(session.nodeId) === session) this.#byNode.delete(session.nodeId);
  }

  all(): IterableIterator<LiveSession> {
    return this.#byNode.values();
  }

  *ofShard(shard: number): IterableIterator<LiveSession> {
    for (const session of this.#byNode.values()) if (session.shard === shard) yield session;
  }
}
