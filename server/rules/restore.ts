import type { FleetEvent } from '../../shared/index.ts';
import { instant } from '../runtime/clock.ts';
import {
  type Change,
  type LostNode,
  type NodeRecord,
  type NotRestored,
  type Stored,
  type Tombstone,
  versionOf,
} from '../store/fleet-store.ts';
import { changeOf, type Stamp } from './change.ts';
import { isStronger } from './claim.ts';

/** A record as it returns to a store that lost it: unchanged, at its own version. */
export function lostNode(record: NodeRecord, now: number, removal?: Tombstone['removal']): LostNode {
  const { node } = record;
  const event: FleetEvent = {
    seq: node.seq,
    type: 'updated',
    nodeId: node.id,
    at: instant(now),
    from: node.status,
    to: node.status,
    reason: 'store_restored',
    evidence: node.evidence,
    node,
  };
  return { kind: 'node', record, event, ...(removal && { removal }) };
}

/**
 * A node whose record differs between a hub and a store that lost writes. The stronger proof wins, then the newest
 * registration, then of one registration the later version; the new version is above both, so that no subscriber's
 * `seq` goes back; the older `createdAt` stays.
 */
export function decideMerge({ lost, stored }: NotRestored, stamp: Stamp): Change | undefined {
  if (stored.kind !== 'node') return undefined;
  if (lost.kind === 'gone') return mergeTombstone(lost.tombstone, stored, stamp);
  const ours = lost.record;
  const theirs = stored.record;
  if (ours.changeId === theirs.changeId) return undefined;
  // A registration that was removed before ours began does not determine the `createdAt` of ours.
  const createdAt = isFromBefore(theirs, lost.removal)
    ? ours.node.createdAt
    : earlier(ours.node.createdAt, theirs.node.createdAt);
  const oursWins = isNewer(ours, theirs);
  if (!oursWins && theirs.node.seq > ours.node.seq && theirs.node.createdAt === createdAt) return undefined;
  const winner = oursWins ? ours : theirs;
  return restoredChange(
    stored,
    { ...winner, node: { ...winner.node, createdAt } },
    ours.node.seq,
    oursWins,
    stamp,
  );
}

/**
 * A removal that the store lost stands: the store's record of the node is from before it. A registration after the
 * removal, which was counted from an older version, stands too, as one of a new node.
 */
function mergeTombstone(
  { version, removal }: Tombstone,
  stored: Extract<Stored, { kind: 'node' }>,
  stamp: Stamp,
): Change | undefined {
  const { record } = stored;
  if (record.node.seq > version) return undefined;
  if (removal && !isFromBefore(record, removal)) {
    const { createdAt, registeredAt } = record.node;
    const node = { ...record.node, createdAt: createdAt > removal.at ? createdAt : registeredAt };
    return restoredChange(stored, { ...record, node }, version, false, stamp);
  }
  const { status, evidence } = record.node;
  const change = changeOf(
    stored,
    record,
    { type: 'removed', from: status, to: null, reason: 'store_restored', evidence },
    { heartbeat: 'clear', deadline: 'never', removed: true },
    stamp,
  );
  return { ...change, event: { ...change.event, seq: version + 1 } };
}

function restoredChange(
  stored: Stored,
  winner: NodeRecord,
  atLeast: number,
  setAgain: boolean,
  stamp: Stamp,
): Change {
  const { status, evidence, heartbeat } = winner.node;
  const deadline = status === 'offline' ? 'never' : { afterMs: heartbeat.timeoutMs };
  const change = changeOf(
    stored,
    winner,
    { type: 'updated', from: status, to: status, reason: 'store_restored', evidence },
    { heartbeat: 'keep', deadline: setAgain ? deadline : 'keep' },
    stamp,
  );
  const seq = Math.max(versionOf(stored), atLeast) + 1;
  const node = { ...change.record.node, seq };
  // The session takes the new version as its own, so that an older session is still fenced off.
  return {
    ...change,
    record: { ...change.record, node, sessionSeq: seq },
    event: { ...change.event, seq, node },
  };
}

/** Whether this registration is the removed one, or an earlier one. */
const isFromBefore = ({ node }: NodeRecord, removal: Tombstone['removal']): boolean =>
  removal !== undefined && node.registeredAt <= removal.registeredAt;

const earlier = (a: string, b: string): string => (a < b ? a : b);

/** The stronger proof wins, then the newest registration, then of one registration the later version. */
function isNewer(ours: NodeRecord, theirs: NodeRecord): boolean {
  const [our, their] = [ours.node.trust?.by ?? 'none', theirs.node.trust?.by ?? 'none'];
  if (our !== their) return isStronger(our, their);
  if (ours.node.registeredAt !== theirs.node.registeredAt)
    return ours.node.registeredAt > theirs.node.registeredAt;
  return ours.node.seq > theirs.node.seq;
}
