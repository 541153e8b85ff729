import {
  closings,
  type DashboardEvent,
  type Evidence,
  type Reason,
  reasonWords,
  saidByDetail,
  silences,
} from '../../shared/index.ts';
import { clockTime } from './times.ts';

/** A reason in words, with the evidence behind it: `no heartbeat for 30s, last one 12:02:50, over hub-2`. */
export function describeReason(reason: Reason, evidence: Evidence): string {
  const { detail, closeCode, lastHeartbeatAt, hubId } = evidence;
  const words = detail !== undefined && saidByDetail.has(reason) ? detail : reasonWords[reason];
  const parts = [words];
  if (closings.has(reason) && closeCode !== undefined) parts[0] = `${words} (close code ${closeCode})`;
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
