import type { FleetEvent, FleetNode, HeartbeatTiming, NodeStats } from '../../shared/index.ts';

/**
 * The store of the fleet: records, heartbeats, and one event log, split into shards by node id. It compares, writes and
 * appends; the rules decide what is written, so that implementations cannot drift. Every implementation passes the same
 * contract suite.
 *
 * A shard has a data set, named by an epoch. `attach` adopts the present data set (and makes one if there is none);
 * after that every verb returns `epoch` (or throws `LostDataError`) once the data set is another one, because the shard
 * has then lost its data.
 *
 * Every verb may throw `StoreAwayError`: the outcome is then unknown, and a write may still have happened.
 */
export interface LogPlace {
  at: Position['at'];
  keptSince: number | undefined;
}

/**
 * The store of the fleet: records, heartbeats, and one event log, split into shards by node id. It compares, writes and
 * appends; the rules decide what is written, so that implementations cannot drift. Every implementation passes the same
 * contract suite.
 *
 * A shard has a data set, named by an epoch. `attach` adopts the present data set (and makes one if there is none);
 * after that every verb returns `epoch` (or throws `LostDataError`) once the data set is another one, because the shard
 * has then lost its data.
 *
 * Every verb may throw `StoreAwayError`: the outcome is then unknown, and a write may still have happened.
 */
export interface FleetStore {
  readonly shards: number;
  shardOf(id: string): number;

  /** Connects and checks that the store can be used: wrong versions or another key format throw `StoreRefusedError`. */
  open(): Promise<void>;
  /** Ends every connection and timer. Calling it twice is harmless. */
  close(): Promise<void>;

  /** Adopts the shard's data set, or makes one if there is none. */
  attach(shard: number): Promise<void>;

  read(id: string): Promise<Stored>;

  /** A unique name for a change. */
  newChangeId(): string;

  /**
   * All or nothing: if the stored version is `change.expected` (and, where requested, no heartbeat is left), writes the
   * record or the tombstone, appends the event, and sets or clears the heartbeat. A change that the store already holds
   * (same `changeId`) is `done`, which makes a retry after an unknown outcome safe.
   */
  commit(change: Change): Promise<CommitOutcome>;

  /**
   * Refreshes the heartbeats of many nodes of one shard at once, and the last stats of those that sent some. `followed`
   * is the position up to which the caller followed the shard's log; without it no session counts as confirmed.
   */
  beat(shard: number, beats: readonly Beat[], followed?: Position): Promise<BeatAnswer>;

  /**
   * Gives live sessions another timing, each all or nothing, without a new version and without an event: it replaces
   * the timing in any record of such a session, earlier or later, as long as the session is the node's. The present
   * heartbeat's lifetime is set too.
   */
  retime(shard: number, retimings: readonly Retiming[]): Promise<RetimeAnswer>;

  /**
   * The last heartbeats of these nodes, and their last stats. A timeout set by `retime` counts before the one in the
   * argument. A node without a heartbeat is absent, and so is one whose shard lost its data.
   */
  stats(nodes: ReadonlyArray<{ id: string; timeoutMs: number }>): Promise<Map<string, LastBeat>>;

  /**
   * The shard's records in pages, and the position of the log before the first was read: changes meanwhile come again
   * from there. A record may come twice.
   */
  snapshot(shard: number): Promise<{ position: Position; pages: AsyncIterable<NodeRecord[]> }>;

  /** What is new in a shard: the log after a position, the nodes that are overdue, and the store's time. */
  tick(shard: number, request: TickRequest): Promise<TickAnswer>;

  /**
   * Calls back with a node whose broken record was put aside: a hub that knows the node restores it by `restore`. A
   * hint, which may be lost. Returns a function that ends it.
   */
  onPutAside(listener: (id: string) => void): () => void;

  /**
   * Calls back when a shard may have something new: a hint, late or lost at any time. Returns a function that ends it.
   */
  onBell(listener: (shard: number) => void): () => void;

  /**
   * Restores records and tombstones that the shard may have lost. Absent: written, flagged `restored`, with an
   * `updated`/`store_restored` event. Stored, still flagged and of a lower version: replaced likewise. The same change,
   * a flagged one of the same session that is no older, or a newer tombstone: unchanged. Anything else is returned, to
   * be merged by a commit.
   */
  replay(shard: number, after: Position, upTo: Position, limit: number): Promise<LogEntry[] | 'gap'>;

  /**
   * The place in a shard's log before the first entry of this time or later, milliseconds since the epoch by the store's
   * clock. `keptSince`: the log does not reach back that far, and what was before this time is not kept.
   */
  locate(shard: number, atMs: number): Promise<LogPlace>;

  /** The newest events of one node or of the fleet, newest first, as far as the log reaches. */
  history(request: { id?: string; limit: number }): Promise<FleetEvent[]>;

  /**
   * Restores records and tombstones that the shard may have lost. Absent: written, flagged `restored`, with an
   * `updated`/`store_restored` event. Stored, still flagged and of a lower version: replaced likewise. The same change,
   * a flagged one of the same session that is no older, or a newer tombstone: unchanged. Anything else is returned, to
   * be merged by a commit.
   */
  restore(shard: number, lost: ReadonlyArray<LostNode>): Promise<NotRestored[]>;

  /**
   * The store's clock was set by about this many milliseconds (0: unknown): no heartbeat of the shard lasts longer than
   * its node's timeout from now on, and each node is examined in time. Any hub may do it, also twice.
   */
  settleClock(shard: number, step: { steppedMs: number; defaultTimeoutMs: number }): Promise<void>;
  /** The same for the leases: none lasts longer than this. */
  settleLeases(longestMs: number): Promise<void>;

  /** The number of nodes of all shards. */
  nodeCount(): Promise<number>;

  /** Takes or renews this hub's lease for this time. */
  renewLease(lease: HubLease, ttlMs: number): Promise<void>;
  dropLease(hubId: string): Promise<void>;
  /** Every hub that holds a lease. */
  leases(): Promise<HeldLease[]>;
}

/** The stored state of a node. `node.seq` is its version. */
export interface NodeRecord {
  node: FleetNode;
  /** The fencing token of the node's newest registration. A secret between agent and hub. */
  session: string;
  /** The removal itself, if it was seen: the `registeredAt` of the registration that it ended, and its time. */
  sessionSeq: number;
  /** The start of the agent's process that registered. */
  instanceId: string;
  /** Names the change that made this version. */
  changeId: string;
}

/** The remains of a removed node for 24 h, so that its versions continue if it comes back. */
export interface Tombstone {
  id: string;
  version: number;
  /** The removal itself, if it was seen: the `registeredAt` of the registration that it ended, and its time. */
  removal?: { registeredAt: string; at: string };
}

export type Stored =
  | { kind: 'nothing' }
  | { kind: 'node'; record: NodeRecord; restored: boolean }
  | { kind: 'gone'; tombstone: Tombstone };

/** The version that a commit must expect over this state. */
export function versionOf(stored: Stored): number {
  if (stored.kind === 'node') return stored.record.node.seq;
  return stored.kind === 'gone' ? stored.tombstone.version : 0;
}

/** The record with this timing; the same record if it has it already, or none is given. */
export function withTiming(record: NodeRecord, timing: HeartbeatTiming | undefined): NodeRecord {
  const { node } = record;
  const { intervalMs, timeoutMs } = node.heartbeat;
  if (!timing || (timing.intervalMs === intervalMs && timing.timeoutMs === timeoutMs)) return record;
  return { ...record, node: { ...node, heartbeat: timing } };
}

export interface Change {
  id: string;
  /** The stored version that the decision is based on; 0 for none. */
  expected: number;
  /** The record after the change; its event carries the version. */
  record: NodeRecord;
  event: FleetEvent;
  /** Removed: the record is deleted, a tombstone stays. */
  removed: boolean;
  /** Only if the node's heartbeat is gone, else `still-beating`. */
  onlyIfSilent: boolean;
  /** The heartbeat lasts this long from now on, is deleted at once, or stays as it is. */
  heartbeat: 'keep' | 'clear' | { lastsMs: number };
  /** When the node's heartbeat is examined next: after these milliseconds, or never. */
  deadline: 'keep' | 'never' | { afterMs: number };
}

export type CommitOutcome = 'done' | 'conflict' | 'still-beating' | 'epoch';

/** A heartbeat that waits to be written. */
export interface Beat {
  id: string;
  session: string;
  /** How long the heartbeat still counts: the node's timeout minus its age. Positive. */
  ttlMs: number;
  /** The newest stats, as JSON. */
  stats?: string;
  /**
   * The caller saw the store accept a heartbeat of this session, or the log show it as the node's session (and the node
   * neither unreachable nor offline); and it has followed the log since: only later entries are compared.
   */
  confirmed?: boolean;
}

/** Why a beat was refused, with the node's state in the store. */
export type RefusedBeat = { id: string; session: string } & (
  | { by: 'session'; storedSession: string; storedSessionSeq: number; storedVersion: number }
  | { by: 'tombstone'; storedVersion: number }
  | { by: 'nothing' }
);

export type BeatAnswer =
  | 'epoch'
  | {
      refused: RefusedBeat[];
      /** Nodes that beat although their record's status is `unreachable` or `offline`. */
      returned: string[];
    };

/** Another timing of a live session. */
export interface Retiming {
  id: string;
  session: string;
  timing: HeartbeatTiming;
  /** How long the present heartbeat still counts: the new timeout minus its age. Zero or less leaves it unchanged. */
  ttlMs: number;
}

/** `refused`: ids of nodes with another session, or none. */
export type RetimeAnswer = 'epoch' | { refused: string[] };

export interface LastBeat {
  /** Milliseconds since the epoch, by the store's clock; without one, by the hub's. */
  at: number;
  /** Age, milliseconds; negative if the heartbeat lasts longer than the timeout. */
  agoMs: number;
  stats: NodeStats;
}

/** A place in the log of one shard. `at` is `<ms>-<n>`, ordered numerically. */
export interface Position {
  epoch: string;
  at: string;
}

const splitPosition = (at: string): [number, number] => {
  const dash = at.indexOf('-');
  return [Number(at.slice(0, dash)), Number(at.slice(dash + 1))];
};

/** False for a text that is no position of any log, such as a client may send. */
export function isPosition(at: string): boolean {
  return /^\d{1,15}-\d{1,15}$/.test(at);
}

/** Negative, zero or positive as `a` is before, at or after `b`. */
export function comparePositions(a: string, b: string): number {
  const [aMs, aN] = splitPosition(a);
  const [bMs, bN] = splitPosition(b);
  return aMs - bMs || aN - bN;
}

/**
 * One entry of the log: the event, and the record of its node, with fields for hubs only. For a removal, the last
 * record.
 */
export interface LogEntry {
  at: string;
  event: FleetEvent;
  record: NodeRecord;
}

export interface TickRequest {
  after: Position;
  /** The most log entries; an answer may bring fewer. */
  limit: number;
  /** The position up to which the log was read, unreadable entries included; absent if nothing was logged. */
  overdue: { skip: number; limit: number };
}

export type TickAnswer =
  /** The data set is another one: the data was lost. */
  | { kind: 'epoch' }
  /** The overdue nodes that were examined, of which some beat (and were postponed), and whether there are more. */
  | { kind: 'gap'; cause: 'trimmed' | 'lost' }
  | {
      kind: 'news';
      entries: LogEntry[];
      /** The position up to which the log was read, unreadable entries included; absent if nothing was logged. */
      upTo?: string;
      /** A change in the log is unreadable: knowledge of the shard is no longer complete. */
      unreadable?: boolean;
      silent: SilentNode[];
      /** The log has more entries than requested, or than one answer takes. */
      moreLogged: boolean;
      /** The overdue nodes that were examined, of which some beat (and were postponed), and whether there are more. */
      examined: number;
      putOff: number;
      moreDue: boolean;
      /** Upper bound of the time until the next node is due; undefined if none was examined. */
      nextDueInMs: number | undefined;
      /** The store's own clock, milliseconds since the epoch; undefined if it has none but the hub's. */
      now: number | undefined;
    };

/** A node whose stored state differs from the hub's. */
export interface SilentNode {
  record: NodeRecord;
  /** Time since the deadline, milliseconds. */
  overdueMs: number;
}

export type LostNode =
  /** `removal`: the last one before the node registered anew, if it was seen. */
  | { kind: 'node'; record: NodeRecord; event: FleetEvent; removal?: Tombstone['removal'] }
  | { kind: 'gone'; tombstone: Tombstone };

/** A node whose stored state differs from the hub's. */
export interface NotRestored {
  lost: LostNode;
  stored: Stored;
}

export interface HubLease {
  hubId: string;
  address: string;
  sessions: number;
  version: string;
}

/** A valid lease, and its remaining time. */
export interface HeldLease {
  lease: HubLease;
  leftMs: number;
}

/** The store cannot be reached, or did not answer in time: the outcome is unknown. */
export class StoreAwayError extends Error {
  override name = 'StoreAwayError';
}

/** The shard's data set is not the attached one. */
export class LostDataError extends Error {
  override name = 'LostDataError';
}

/** The store must not be used as it is (its version, its key format). The message says why. */
export class StoreRefusedError extends Error {
  override name = 'StoreRefusedError';
}

/** Entries that each shard's log keeps, roughly: more than a fleet of 50,000 writes when it all reconnects. */
export const TOMBSTONE_MS = 24 * 3_600_000;
/** The shortest time that a restored tombstone stays. */
export const LEAST_TOMBSTONE_MS = 3_600_000;

/** The remaining time of a tombstone that is restored now. */
export function tombstoneLeftMs({ removal }: Tombstone, now: number): number {
  if (!removal) return TOMBSTONE_MS;
  const leftMs = new Date(removal.at).getTime() + TOMBSTONE_MS - now;
  return Math.min(TOMBSTONE_MS, Math.max(LEAST_TOMBSTONE_MS, leftMs));
}

/** Entries that each shard's log keeps, roughly: more than a fleet of 50,000 writes when it all reconnects. */
export const LOG_ENTRIES_PER_SHARD = 5_000;
