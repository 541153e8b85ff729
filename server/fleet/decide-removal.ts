import type { Change, Stored } from '../store/fleet-store.ts';
import { changeOf, type Stamp } from './transition.ts';

/** Who asked for a removal: the session that speaks for the node, or an operator. */
export type RemovalAsk =
  | { reason: 'deregistered'; session: string; detail?: string }
  | { reason: 'removed_by_operator'; detail?: string };

/** The record goes, and a tombstone keeps its version. An older session removes nothing. */
export function decideRemoval(stored: Stored, ask: RemovalAsk, stamp: Stamp): Change | undefined {
  if (stored.kind !== 'node') return undefined;
  const { record } = stored;
  if (ask.reason === 'deregistered' && record.session !== ask.session) return undefined;
  const evidence = { ...record.node.evidence, ...(ask.detail && { detail: ask.detail }) };
  return changeOf(
    stored,
    record,
    { type: 'removed', from: record.node.status, to: null, reason: ask.reason, evidence },
    { heartbeat: 'clear', look: 'never', removed: true },
    stamp,
  );
}
