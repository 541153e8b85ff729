import type { DashboardEvent, Evidence, Reason } from '../../shared/index.ts';
import { clockTime } from './printable.ts';

const reasons: Readonly<Record<Reason, string>> = {
  registered: 'registered',
  reconnected: 'came back',
  superseded: 'another agent registered as this node while it still beat (a cloned machine?)',
  condition_failed: 'a check of its own fails',
  condition_cleared: 'its checks pass again',
  connection_lost: 'connection lost without a goodbye',
  hub_lost: 'its hub is gone',
  agent_stopped: 'its agent stopped',
  heartbeat_timeout: 'no heartbeat in time',
  deregistered: 'deregistered by its agent',
  removed_by_operator: 'removed by an operator',
  store_restored: 'put back after the store had lost it',
};

/** Reasons whose `detail` says the same with figures. */
const saidByDetail: ReadonlySet<Reason> = new Set(['heartbeat_timeout', 'hub_lost']);
/** Reasons for which it matters when the node was last heard of. */
const silences: ReadonlySet<Reason> = new Set([
  'heartbeat_timeout',
  'hub_lost',
  'connection_lost',
  'agent_stopped',
]);

/** A reason in words, with the evidence behind it: `no heartbeat for 30s, last one 12:02:50, over hub-2`. */
export function describeReason(reason: Reason, evidence: Evidence): string {
  const { detail, closeCode, lastHeartbeatAt, hubId } = evidence;
  const words = detail !== undefined && saidByDetail.has(reason) ? detail : reasons[reason];
  const parts = [words];
  const closed = reason === 'connection_lost' || reason === 'agent_stopped';
  if (closed && closeCode !== undefined) parts[0] = `${words} (close code ${closeCode})`;
  if (detail !== undefined && !saidByDetail.has(reason)) parts.push(`"${detail}"`);
  if (silences.has(reason) && lastHeartbeatAt !== undefined)
    parts.push(`last heartbeat ${clockTime(lastHeartbeatAt)}`);
  if (hubId !== undefined && reason !== 'removed_by_operator') parts.push(`over ${hubId}`);
  return parts.join(', ');
}

/** What an event changed, in words, where it did not change the status. */
export function describeType({ type, reason, left }: DashboardEvent): string | undefined {
  if (type === 'removed') return undefined;
  if (left) return 'left the filter';
  if (type === 'updated' && reason === 'registered') return 'facts updated';
  if (type === 'updated' && reason === 'condition_failed') return 'its checks changed';
  return undefined;
}
