import { type Evidence, type Filter, type FleetNode, matcher } from '../../shared/index.ts';
import type { Change, Stored } from '../store/fleet-store.ts';
import { changeOf, type Stamp } from './change.ts';

/** The origin of a removal: the node's own session, or an operator. */
export type RemovalAsk =
  | { reason: 'deregistered'; session: string; detail?: string }
  /** `by` is part of the event, the address of the log only. */
  | { reason: 'removed_by_operator'; by?: string; remoteAddress?: string; only?: RemovalPrecondition };

/** Conditions for an operator's removal: the state that the operator saw may be outdated. */
export interface RemovalPrecondition {
  /** Its version is one of these. */
  seqs?: readonly number[];
  filter?: Filter;
}

/** The record is removed, and a tombstone keeps its version. An older session removes nothing. */
export function decideRemoval(stored: Stored, ask: RemovalAsk, stamp: Stamp): Change | undefined {
  if (stored.kind !== 'node') return undefined;
  const { record } = stored;
  if (ask.reason === 'deregistered' && record.session !== ask.session) return undefined;
  if (ask.reason === 'removed_by_operator' && ask.only && !isMet(ask.only, record.node)) return undefined;
  const { by: _, ...known } = record.node.evidence;
  const evidence = { ...known, ...wordsOf(ask) };
  return changeOf(
    stored,
    record,
    { type: 'removed', from: record.node.status, to: null, reason: ask.reason, evidence },
    { heartbeat: 'clear', deadline: 'never', removed: true },
    stamp,
  );
}

const isMet = ({ seqs, filter }: RemovalPrecondition, node: FleetNode): boolean =>
  (!seqs || seqs.includes(node.seq)) && (!filter || matcher(filter)(node));

/** The evidence of a removal: an agent's reason, or an operator's name. */
function wordsOf(ask: RemovalAsk): Pick<Evidence, 'by' | 'detail'> {
  if (ask.reason === 'removed_by_operator') return ask.by === undefined ? {} : { by: ask.by };
  return ask.detail ? { detail: ask.detail } : {};
}
