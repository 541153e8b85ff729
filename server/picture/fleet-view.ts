import type { Filter, FleetEvent, FleetNode, HeartbeatTiming, Status } from '../../shared/index.ts';
import type { LogEntry, NodeRecord, Position, Stored } from '../store/fleet-store.ts';
import type { NodeLists } from './node-lists.ts';
import type { Tombstones } from './tombstones.ts';

/** One event as the view applied it: the node before, and the node now. */
export interface Applied {
  event: FleetEvent;
  before: FleetNode | undefined;
  after: FleetNode | undefined;
}

/**
 * `reloaded`: the view lost its position in the log and was loaded afresh, so nodes may have changed without events.
 */
export type ViewListener = { changed: (applied: Applied) => void; reloaded: (reason: string) => void };

/**
 * A hub's copy of the fleet besides its own sessions: the whole (`View`), or nothing (`NoView`) on a hub that serves
 * agents only. Readers query it; the hub's follower feeds it from the log.
 */
export interface FleetView {
  /** Whether it needs the records of a snapshot. A view that needs none is never `loaded`. */
  readonly keepsRecords: boolean;
  /** The same nodes, indexed for lists. */
  readonly lists: NodeLists;
  readonly size: number;
  /** The removals that it saw. */
  readonly tombstones: Tombstones;
  /** True once every shard was loaded. */
  readonly loaded: boolean;
  /** The applied position of each shard's log. Only of a loaded view. */
  positions(): Position[];
  ids(): Iterable<string>;
  get(id: string): NodeRecord | undefined;
  /** The node as last read from the store; undefined if only the store itself knows. */
  stored(id: string): Stored | undefined;
  /** The nodes that match at the moment of the call, in no order; the search runs in slices. */
  find(filter: Filter): Promise<FleetNode[]>;
  countByStatus(): Record<Status, number>;
  recordsOf(shard: number): NodeRecord[];
  /** Calls back for each applied event and each reload. Returns a function that ends it. */
  listen(listener: ViewListener): () => void;
  /** Replaces a shard with a fresh snapshot, in slices. */
  load(shard: number, snapshot: readonly NodeRecord[], position: Position, reason: string): Promise<void>;
  /**
   * Sets another timing of the node for this session, which no event announces. Returns the record; undefined if the
   * node has another session, or does not exist.
   */
  retime(id: string, session: string, timing: HeartbeatTiming): NodeRecord | undefined;
  /** The log was read up to here without a further entry. */
  advance(shard: number, position: Position): void;
  /**
   * Applies one entry of the log. Known entries are skipped. `hole`: with `strict` (once the shard has caught up), a
   * version between this one and the known one is missing.
   */
  apply(shard: number, entry: LogEntry, strict: boolean): 'applied' | 'known' | 'hole';
  /**
   * Waits until this version of a node is applied, so that the client of a write can read it. Gives up after a second:
   * the write itself stands.
   */
  waitFor(id: string, seq: number): Promise<void>;
}
