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
import type { LogEntry, NodeRecord, RefusedBeat } from '../store/fleet-store.ts';

/** The socket of an agent, in the fleet's terms. */
export interface Link {
  readonly remoteAddress: string;
  /** Default: an anonymous caller. */
  readonly principal?: Principal;
  /** Its agent states an earlier registration. */
  readonly known?: boolean;
  /** Ends the socket with this code. The node's status depends on its heartbeat alone. */
  end(code: CloseCode): void;
  /** Whether its agent announced this in `register.features`. */
  understands(feature: Feature): boolean;
  /**
   * Sends a message. False if it is not sent: before the registration is answered, after the end, or if the message is
   * only for agents that announced it.
   */
  send(message: HubMessage): boolean;
}

/**
 * A registered agent whose socket this hub holds. One object for the life of the session; a heartbeat only writes its
 * fields.
 */
export class LiveSession {
  readonly nodeId: string;
  readonly session: string;
  readonly shard: number;
  readonly link: Link;
  /** The connection of the registration: the record has none while the node is out of contact. */
  connection: Connection;
  /** The timing of its record: never a shorter timeout than its agent knows. */
  timing: HeartbeatTiming;
  /** The timing that its agent was sent last. */
  sent: HeartbeatTiming;
  /** The interval that its agent asked for. */
  askedIntervalMs: number | undefined;
  /** Hub time of the newest heartbeat. */
  lastBeatAt: number;
  /** A heartbeat waits to be written. */
  beatWaits = false;
  /** The newest stats that wait to be written. */
  waitingStats: NodeStats | undefined = undefined;
  /** The conditions in the record were reported by an earlier instance of the agent. */
  conditionsInherited: boolean;
  /** Its agent deregistered: the removal that follows is not treated as another caller's. */
  leaving = false;
  ended = false;
  #record: NodeRecord;
  /** Counts the events that made it uncertain that this is still the node's session. */
  #uncertain = 0;
  /** `#uncertain` when the store or the log last confirmed it. */
  #confirmedAt = -1;

  constructor(parts: {
    record: NodeRecord;
    shard: number;
    link: Link;
    connection: Connection;
    timing: HeartbeatTiming;
    askedIntervalMs: number | undefined;
    now: number;
  }) {
    const { record } = parts;
    this.nodeId = record.node.id;
    this.session = record.session;
    this.shard = parts.shard;
    this.link = parts.link;
    this.connection = parts.connection;
    this.timing = parts.timing;
    this.sent = parts.timing;
    this.askedIntervalMs = parts.askedIntervalMs;
    this.lastBeatAt = parts.now;
    this.conditionsInherited = record.node.conditions.length > 0;
    this.#record = record;
  }

  /** The newest known record with this session. */
  get record(): NodeRecord {
    return this.#record;
  }

  /** Takes a record that carries this session, unless a newer one is known. */
  take(record: NodeRecord): void {
    if (this.ended || record.node.seq < this.#record.node.seq) return;
    this.#record = record;
    this.connection = record.node.connection ?? this.connection;
  }

  /** Whether its next heartbeat may be written without a comparison with the stored record. */
  get confirmed(): boolean {
    return this.#confirmedAt === this.#uncertain;
  }

  /** Its next heartbeat is to be compared with the stored record. */
  confirmAgain(): void {
    this.#uncertain += 1;
  }

  /** A mark of now, for `confirmedSince`. */
  get mark(): number {
    return this.#uncertain;
  }

  /** The store took a compared heartbeat: confirmed, unless something happened since the mark. */
  confirmedSince(mark: number): void {
    this.#confirmedAt = mark;
  }

  /**
   * The log shows this as the session of the node's present state, which is as good as a comparison in the store. An
   * unreachable or offline node is not confirmed: its heartbeat is compared and brings it back.
   */
  confirmedByLog({ status }: FleetNode): void {
    if (inContact(status)) this.#confirmedAt = this.#uncertain;
  }

  /** The waiting heartbeat is not written: after a close it would refresh the node. */
  dropBeat(): void {
    this.beatWaits = false;
    this.waitingStats = undefined;
  }
}

/** The close code with which a newer registration ends an older session. */
export function supersededBy(newer: NodeRecord, older: NodeRecord): CloseCode {
  return newer.instanceId === older.instanceId ? SUPERSEDED_BY_ITSELF : CLOSE.superseded;
}

/** The close code with which an entry of the log ends this session: a newer registration, or a removal. */
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
  /** By node, the number of registrations in progress, and the newest entry of the log meanwhile. */
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
   * A registration is being written. The log may bring a newer one before the answer to this write. The returned
   * function, to be called once the session is attached or given up, returns the newest such entry.
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
  followed(entry: LogEntry): void {
    if (this.#expected.size === 0) return;
    const expected = this.#expected.get(entry.event.nodeId);
    if (expected) expected.newest = entry;
  }

  /** The session is over. If it was replaced meanwhile, its successor stays. */
  detach(session: LiveSession): void {
    session.dropBeat();
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

/** Only a newer registration or a removal ends a session. Anything else means that the store lost writes. */
export function whyRefused(
  refused: RefusedBeat,
  { sessionSeq }: Pick<NodeRecord, 'sessionSeq'>,
): 'superseded' | 'removed' | 'lost' {
  if (refused.by === 'session' && refused.storedSessionSeq >= sessionSeq) return 'superseded';
  if (refused.by === 'tombstone' && refused.storedVersion >= sessionSeq) return 'removed';
  return 'lost';
}
