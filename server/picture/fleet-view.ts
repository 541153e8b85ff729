import type { Filter, FleetEvent, FleetNode, HeartbeatTiming, Status } from '../../shared/index.ts';
import type { LogEntry, NodeRecord, Position, Stored } from '../store/fleet-store.ts';
import type { NodeLists } from './node-lists.ts';
import type { Tombstones } from './tombstones.ts';

/** One event as the view applied it: what the node was before, and what it is now. */
export interface Applied {
  event: FleetEvent;
  before: FleetNode | undefined;
  after: FleetNode | undefined;
}

/** The view lost the thread and was loaded afresh: what it shows may have changed without events. */
export type ViewListener = { changed: (applied: Applied) => void; reloaded: (reason: string) => void };

/**
 * What a hub keeps of the fleet besides its own sessions: all of it (`View`), or nothing (`NoView`) on a hub that
 * serves agents only. Readers look into it; the hub's follower leads the log into it.
 */
export interface FleetView {
  /** Whether it wants the records of a snapshot. One that does not is never `loaded`. */
  readonly keepsRecords: boolean;
  /** The same nodes by what lists ask for. */
  readonly lists: NodeLists;
  readonly size: number;
  /** The removals that it saw. */
  readonly tombstones: Tombstones;
  /** True once every shard was loaded. */
  readonly loaded: boolean;
  /** How far it has got in each shard's log. Only of a loaded view. */
  positions(): Position[];
  ids(): Iterable<string>;
  get(id: string): NodeRecord | undefined;
  /** What the store held of a node when it was last heard of; undefined where only the store itself can tell. */
  stored(id: string): Stored | undefined;
  /** The nodes that match at the moment of the call, in no order; looked for in slices. */
  find(filter: Filter): Promise<FleetNode[]>;
  countByStatus(): Record<Status, number>;
  recordsOf(shard: number): NodeRecord[];
  /** Calls back for each applied event and each reload. Returns its end. */
  listen(listener: ViewListener): () => void;
  /** Puts a fresh snapshot in the place of a shard, in slices. */
  load(shard: number, snapshot: readonly NodeRecord[], position: Position, reason: string): Promise<void>;
  /**
   * The node has another timing as long as this session speaks for it, which no event tells. Answers its record;
   * nothing where it has another session's, or none.
   */
  retime(id: string, session: string, timing: HeartbeatTiming): NodeRecord | undefined;
  /** The log was read up to here without a further entry. */
  advance(shard: number, position: Position): void;
  /**
   * Applies one entry of the log. Entries that are already known are passed over. `hole`: with `strict` (once
   * the shard has caught up), a version between this one and the known one is missing.
   */
  apply(shard: number, entry: LogEntry, strict: boolean): 'applied' | 'known' | 'hole';
  /**
   * Waits until it has applied this version of a node, so that whoever is told of a write can read it. Gives up
   * after a second: the write itself stands.
   */
  waitFor(id: string, seq: number): Promise<void>;
}
