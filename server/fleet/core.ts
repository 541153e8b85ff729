import type { HeartbeatTiming } from '../../shared/index.ts';
import type { FleetView } from '../picture/fleet-view.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { StallWatch } from '../runtime/stall-watch.ts';
import type { FleetStore, NodeRecord, Stored } from '../store/fleet-store.ts';
import type { Membership } from './membership.ts';
import type { NodeWrites } from './node-writes.ts';
import type { Sessions } from './sessions.ts';
import type { Shards } from './shards.ts';

/** The common base of a hub's fleet parts. */
export interface FleetCore {
  readonly hubId: string;
  /** The timing of the settings; where the interval adapts to the fleet, the shortest. */
  readonly timing: HeartbeatTiming;
  /** Whether agents need a token, except those of an open dialect. */
  readonly agentsNeedTokens: boolean;
  readonly store: FleetStore;
  readonly clock: Clock;
  readonly log: Log;
  /** The recent stalls of this hub. */
  readonly stalls: StallWatch;
  readonly shards: Shards;
  readonly view: FleetView;
  readonly sessions: Sessions;
  readonly writes: NodeWrites;
  readonly membership: Membership;
}

/**
 * The newer of two records: the one that a session of this hub last wrote, and the one in the view, which follows a
 * moment later.
 */
export function newerRecord(
  own: NodeRecord | undefined,
  seen: NodeRecord | undefined,
): NodeRecord | undefined {
  return own && (!seen || own.node.seq > seen.node.seq) ? own : seen;
}

/** The newest state of a node that this hub knows without a read; undefined if only the store knows. */
export function newestKnown(
  { view, sessions }: Pick<FleetCore, 'view' | 'sessions'>,
  id: string,
): Stored | undefined {
  const record = newerRecord(sessions.get(id)?.record, view.get(id));
  return record ? { kind: 'node', record, restored: false } : view.stored(id);
}
