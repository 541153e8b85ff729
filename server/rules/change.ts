import type { Condition, EventType, Evidence, FleetNode, Reason, Status } from '../../shared/index.ts';
import { instant } from '../runtime/clock.ts';
import { type Change, type NodeRecord, type Stored, versionOf } from '../store/fleet-store.ts';

/** Inputs of a decision besides facts: the store's time and a fresh name for the change. */
export interface Stamp {
  /** Milliseconds since the epoch, by the store's clock. */
  now: number;
  changeId: string;
}

/** A change of status and its reason. */
interface StatusChange {
  to: Status;
  reason: Reason;
  evidence: Evidence;
}

/** The status of a node that is in contact: `degraded` while a condition fails. */
export function contactStatus(conditions: readonly Condition[]): 'online' | 'degraded' {
  return conditions.some(({ status }) => status === 'fail') ? 'degraded' : 'online';
}

interface Step {
  type: EventType;
  from: Status | null;
  to: Status | null;
  reason: Reason;
  evidence: Evidence;
}

/** How a change treats the heartbeat: see the fields of `Change`. */
type HeartbeatEffect = Pick<Change, 'heartbeat' | 'deadline'> &
  Partial<Pick<Change, 'onlyIfSilent' | 'removed'>>;

/** A decision in the form of a commit: the next version of the stored record, and its event. */
export function changeOf(
  stored: Stored,
  record: Omit<NodeRecord, 'changeId'>,
  step: Step,
  effect: HeartbeatEffect,
  stamp: Stamp,
): Change {
  const expected = versionOf(stored);
  const seq = expected + 1;
  const { session, sessionSeq, instanceId } = record;
  const { type, from, to, reason, evidence } = step;
  const node = effect.removed || record.node.seq === seq ? record.node : { ...record.node, seq };
  return {
    id: node.id,
    expected,
    record: { node, session, sessionSeq, instanceId, changeId: stamp.changeId },
    event: { seq, nodeId: node.id, at: instant(stamp.now), type, from, to, reason, evidence, node },
    removed: effect.removed ?? false,
    onlyIfSilent: effect.onlyIfSilent ?? false,
    heartbeat: effect.heartbeat,
    deadline: effect.deadline,
  };
}

/** Another status of a record, in the form of a commit. */
export function statusChange(
  record: NodeRecord,
  change: StatusChange,
  effect: HeartbeatEffect,
  stamp: Stamp,
): Change {
  const { to: status, reason, evidence } = change;
  const node: FleetNode = { ...record.node, status, reason, statusSince: instant(stamp.now), evidence };
  return changeOf(
    { kind: 'node', record, restored: false },
    { ...record, node },
    { type: 'status', from: record.node.status, ...change },
    effect,
    stamp,
  );
}
