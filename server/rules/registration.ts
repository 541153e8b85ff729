import { isDeepStrictEqual } from 'node:util';
import {
  type Connection,
  type Evidence,
  type Facts,
  type HeartbeatTiming,
  inContact,
  type Liveness,
  type NodeFacts,
  type Reason,
} from '../../shared/index.ts';
import { instant } from '../runtime/clock.ts';
import { noConditions, trustBy } from '../runtime/interning.ts';
import { type Change, type NodeRecord, type Stored, versionOf } from '../store/fleet-store.ts';
import { changeOf, contactStatus, type Stamp } from './change.ts';
import { duplicateDetail } from './identity.ts';
import { joinParts, livenessOf } from './parts.ts';
import type { Principal } from './principal.ts';

/** The message of a registering agent, and what the hub adds. */
export interface Registration {
  id: string;
  /** Another node with the same host name. */
  duplicate?: string;
  session: string;
  instanceId: string;
  facts: NodeFacts;
  timing: HeartbeatTiming;
  connection: Connection;
  principal: Principal;
}

/**
 * An admissible registration wins: the newest session is the node's session. A known node keeps its `createdAt` and its
 * failing conditions; a removed one continues at its old version with a new `createdAt`.
 */
export function decideRegistration(stored: Stored, registration: Registration, stamp: Stamp): Change {
  const { session, instanceId, principal } = registration;
  const { timeoutMs } = registration.timing;
  const at = instant(stamp.now);
  const seq = versionOf(stored) + 1;
  const old = stored.kind === 'node' ? stored.record : undefined;
  const reason = old ? returnReason(old, instanceId) : 'registered';
  const conditions = old?.node.conditions ?? noConditions;
  const status = contactStatus(conditions);
  const liveness: Liveness = {
    status,
    reason,
    statusSince: old?.node.status === status ? old.node.statusSince : at,
    conditions,
    evidence: evidenceOf(registration, at),
    heartbeat: registration.timing,
    connection: registration.connection,
    createdAt: old?.node.createdAt ?? at,
    registeredAt: at,
  };
  const node = joinParts({
    id: registration.id,
    seq,
    facts: factsOf(registration),
    liveness,
    trust: trustBy(principal.by),
  });
  return changeOf(
    stored,
    { node, session, instanceId, sessionSeq: seq },
    {
      type: old ? 'reregistered' : 'registered',
      from: old?.node.status ?? null,
      to: status,
      reason,
      evidence: node.evidence,
    },
    { heartbeat: { lastsMs: timeoutMs }, deadline: { afterMs: timeoutMs } },
    stamp,
  );
}

function evidenceOf({ connection: { hubId }, principal, duplicate }: Registration, at: string): Evidence {
  return {
    lastHeartbeatAt: at,
    hubId,
    ...(duplicate !== undefined && { detail: duplicateDetail(duplicate) }),
    ...(principal.name !== undefined && { by: principal.name }),
  };
}

/** A node whose host name another node registered with: both carry the evidence. */
export function decideDuplicate(stored: Stored, other: string, stamp: Stamp): Change | undefined {
  if (stored.kind !== 'node') return undefined;
  const { node } = stored.record;
  const detail = duplicateDetail(other);
  if (node.evidence.detail === detail) return undefined;
  const evidence = { ...node.evidence, detail };
  return changeOf(
    stored,
    { ...stored.record, node: { ...node, evidence } },
    { type: 'updated', from: node.status, to: node.status, reason: node.reason, evidence },
    { heartbeat: 'keep', deadline: 'keep' },
    stamp,
  );
}

function returnReason(old: NodeRecord, instanceId: string): Reason {
  return inContact(old.node.status) && old.instanceId !== instanceId ? 'superseded' : 'reconnected';
}

function factsOf({ facts }: Registration): Facts {
  const { nodeId: _, ...rest } = facts;
  return rest;
}

/** A second `register` on a live session: the node's facts and timing are replaced where they differ. */
export function decideUpdate(stored: Stored, registration: Registration, stamp: Stamp): Change | undefined {
  if (stored.kind !== 'node' || stored.record.session !== registration.session) return undefined;
  const { record } = stored;
  const { id, seq, trust, status, evidence } = record.node;
  const node = joinParts({
    ...{ id, seq, trust },
    facts: factsOf(registration),
    liveness: { ...livenessOf(record.node), heartbeat: registration.timing },
  });
  if (isDeepStrictEqual(node, record.node)) return undefined;
  return changeOf(
    stored,
    { ...record, node },
    { type: 'updated', from: status, to: status, reason: 'registered', evidence },
    { heartbeat: 'keep', deadline: 'keep' },
    stamp,
  );
}
