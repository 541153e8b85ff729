import {
  type Condition,
  type Connection,
  type Evidence,
  formatDuration,
  inContact,
  withUnread,
} from '../../shared/index.ts';
import { instant, msOf } from '../runtime/clock.ts';
import type { Change, NodeRecord, SilentNode, Stored } from '../store/fleet-store.ts';
import { changeOf, contactStatus, type Stamp, statusChange } from './change.ts';

/** The largest difference between the clocks of two hubs, as estimates of the store's clock. */
const LATER_MS = 1_000;

/** A socket that closed, and by which side. */
export interface Closing {
  session: string;
  /** The agent began the close with 1000 or 1001. */
  goodbye: boolean;
  code: number;
  detail?: string;
  /** Hub time of the last heartbeat, which may not be written yet, and its timeout. */
  lastBeatAt: number;
  timeoutMs: number;
}

/**
 * A goodbye makes the node `offline` at once; any other close makes it `unreachable`, and its heartbeat's timeout
 * continues.
 */
export function decideClose(
  stored: Stored,
  closing: Closing,
  hubNow: number,
  stamp: Stamp,
): Change | undefined {
  if (stored.kind !== 'node' || stored.record.session !== closing.session) return undefined;
  const { record } = stored;
  const { status, connection } = record.node;
  const agoMs = Math.max(0, hubNow - closing.lastBeatAt);
  const evidence: Evidence = {
    lastHeartbeatAt: instant(stamp.now - agoMs),
    ...(connection && { hubId: connection.hubId }),
    closeCode: closing.code,
    ...(closing.detail && { detail: closing.detail }),
  };
  if (closing.goodbye && status !== 'offline') {
    const stopped = { to: 'offline', reason: 'agent_stopped', evidence } as const;
    return statusChange(disconnected(record), stopped, { heartbeat: 'clear', deadline: 'never' }, stamp);
  }
  if (status !== 'online' && status !== 'degraded') return undefined;
  const lost = { to: 'unreachable', reason: 'connection_lost', evidence } as const;
  const lastsMs = closing.timeoutMs - agoMs;
  const heartbeat = lastsMs > 0 ? { lastsMs } : 'keep';
  return statusChange(disconnected(record), lost, { heartbeat, deadline: 'keep' }, stamp);
}

/**
 * A heartbeat of the current session of a node that was `unreachable` or `offline`: the node is back. A heartbeat from
 * before that status proves nothing.
 */
export function decideReturn(
  stored: Stored,
  beat: { session: string; at: number; connection: Connection },
  stamp: Stamp,
): Change | undefined {
  if (stored.kind !== 'node' || stored.record.session !== beat.session) return undefined;
  const { record } = stored;
  const { status, statusSince, conditions, heartbeat } = record.node;
  // A status from the future was dated by a clock that has been corrected since: then the store is right, which
  // accepted the heartbeat.
  const since = msOf(statusSince);
  if (inContact(status) || (beat.at < since && since <= stamp.now + LATER_MS)) return undefined;
  const evidence = { lastHeartbeatAt: instant(beat.at), hubId: beat.connection.hubId };
  return statusChange(
    { ...record, node: { ...record.node, connection: beat.connection } },
    { to: contactStatus(conditions), reason: 'reconnected', evidence },
    { heartbeat: 'keep', deadline: { afterMs: heartbeat.timeoutMs } },
    stamp,
  );
}

/**
 * A node whose heartbeat timed out. If the hub that held its socket is gone too, the silence may be that hub's: such a
 * node is `unreachable` for one more timeout, to come back elsewhere.
 */
export function decideSilence(
  { record, overdueMs }: SilentNode,
  hubIsGone: boolean,
  stamp: Stamp,
): Change | undefined {
  const { status, connection, heartbeat } = record.node;
  const evidence: Evidence = {
    lastHeartbeatAt: instant(stamp.now - overdueMs - heartbeat.timeoutMs),
    ...(connection && { hubId: connection.hubId }),
  };
  switch (status) {
    case 'offline':
      return undefined;
    case 'unreachable': {
      const detail = `no heartbeat and no return for ${formatDuration(heartbeat.timeoutMs)}`;
      return timedOut(record, { ...record.node.evidence, detail }, stamp);
    }
    case 'online':
    case 'degraded': {
      if (!hubIsGone || connection?.transport !== 'websocket') {
        return timedOut(
          record,
          { ...evidence, detail: `no heartbeat for ${formatDuration(heartbeat.timeoutMs)}` },
          stamp,
        );
      }
      const detail = `hub ${connection.hubId} holds no lease any more`;
      return statusChange(
        disconnected(record),
        { to: 'unreachable', reason: 'hub_lost', evidence: { ...evidence, detail } },
        { heartbeat: 'keep', deadline: { afterMs: heartbeat.timeoutMs }, onlyIfSilent: true },
        stamp,
      );
    }
    default:
      return status satisfies never;
  }
}

function timedOut(record: NodeRecord, evidence: Evidence, stamp: Stamp): Change {
  return statusChange(
    disconnected(record),
    { to: 'offline', reason: 'heartbeat_timeout', evidence },
    { heartbeat: 'clear', deadline: 'never', onlyIfSilent: true },
    stamp,
  );
}

/** A record without its socket. A node that beats over HTTP has no socket and keeps its connection. */
function disconnected(record: NodeRecord): NodeRecord {
  if (record.node.connection?.transport !== 'websocket') return record;
  return { ...record, node: { ...record.node, connection: null } };
}

const byType = (a: Condition, b: Condition): number => (a.type < b.type ? -1 : a.type > b.type ? 1 : 0);

/** Whether two reports are equal; the order of conditions does not matter. */
export function sameConditions(a: readonly Condition[], b: readonly Condition[]): boolean {
  if (a.length !== b.length) return false;
  // Nearly always an agent repeats its report, in the order of the record.
  return sameInOrder(a, b) || sameInOrder(a.toSorted(byType), b.toSorted(byType));
}

function sameInOrder(a: readonly Condition[], b: readonly Condition[]): boolean {
  return a.every(({ type, status, message }, index) => {
    const other = b[index];
    return other?.type === type && other.status === status && other.message === message;
  });
}

/** The conditions that an agent reported: a failing one degrades a node that is in contact, its end heals it. */
export function decideConditions(
  stored: Stored,
  reported: { session: string; conditions: Condition[]; unread?: ReadonlySet<string> | undefined },
  stamp: Stamp,
): Change | undefined {
  if (stored.kind !== 'node' || stored.record.session !== reported.session) return undefined;
  const { record } = stored;
  const conditions = withUnread(reported.conditions, reported.unread, record.node.conditions).toSorted(
    byType,
  );
  if (sameConditions(conditions, record.node.conditions)) return undefined;
  const { status, evidence } = record.node;
  const reason = contactStatus(conditions) === 'degraded' ? 'condition_failed' : 'condition_cleared';
  const changed = { ...record, node: { ...record.node, conditions } };
  const to = inContact(status) ? contactStatus(conditions) : status;
  const liveness = { heartbeat: 'keep', deadline: 'keep' } as const;
  if (to === status) {
    return changeOf(
      stored,
      changed,
      { type: 'updated', from: status, to, reason, evidence },
      liveness,
      stamp,
    );
  }
  const detail = describe(conditions);
  const hubId = record.node.connection?.hubId;
  const seen = { lastHeartbeatAt: instant(stamp.now), ...(hubId && { hubId }), ...(detail && { detail }) };
  return statusChange(changed, { to, reason, evidence: seen }, liveness, stamp);
}

function describe(conditions: readonly Condition[]): string {
  return conditions
    .filter(({ status }) => status === 'fail')
    .map(({ type, message }) => (message ? `${type}: ${message}` : type))
    .join('; ')
    .slice(0, 1_024);
}
