import type { HeartbeatTiming } from '../../shared/index.ts';
import type { FleetView } from '../picture/fleet-view.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { StallWatch } from '../runtime/stall-watch.ts';
import type { FleetStore, NodeRecord, Stored } from '../store/fleet-store.ts';
import type { ChangeBudget } from './change-budget.ts';
import type { Heartbeats } from './heartbeats.ts';
import type { Presence } from './membership.ts';
import type { Newcomers } from './newcomers.ts';
import type { NodeWrites } from './node-writes.ts';
import type { Pacing } from './pacing.ts';
import type { Sessions } from './sessions.ts';

/** What every part of a hub's fleet works with. */
export interface FleetContext {
  readonly hubId: string;
  /** The timing of the settings; where the interval adapts to the fleet, the shortest. */
  readonly timing: HeartbeatTiming;
  readonly store: FleetStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly view: FleetView;
  readonly sessions: Sessions;
  readonly heartbeats: Heartbeats;
  readonly presence: Presence;
  /** Whether this hub stood still lately. */
  readonly stalls: StallWatch;
  readonly pacing: Pacing;
  /** Whether agents need a token, but for those of an open dialect. */
  readonly agentsNeedTokens: boolean;
  readonly writes: NodeWrites;
  readonly budget: ChangeBudget;
  readonly newcomers: Newcomers;
  /** The time of the store where this node lies, as far as this hub can tell: milliseconds since the epoch. */
  readonly storeNow: (nodeId: string) => number;
  /** Whether the node's shard can be written to now. */
  readonly usable: (nodeId: string) => boolean;
  /** A write to the node's shard failed: look at it at once. */
  readonly doubt: (nodeId: string) => void;
}

/** The newer of what a session of this hub last wrote and what the view has seen, which follows a moment later. */
export function newerRecord(
  own: NodeRecord | undefined,
  seen: NodeRecord | undefined,
): NodeRecord | undefined {
  return own && (!seen || own.node.seq > seen.node.seq) ? own : seen;
}

/** The newest that this hub knows of a node without asking the store; undefined where only the store can tell. */
export function bestKnown({ view, sessions }: FleetContext, id: string): Stored | undefined {
  const record = newerRecord(sessions.get(id)?.record, view.get(id));
  return record ? { kind: 'node', record, restored: false } : view.stored(id);
}
