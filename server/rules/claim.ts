import { type FleetNode, type Proof, proofSchema } from '../../shared/index.ts';
import type { Stored } from '../store/fleet-store.ts';

/** What a caller wants to do to a node; an update counts as part of its session's registration. */
export type Verb = 'register' | 'beat' | 'deregister';

export interface Claim {
  verb: Verb;
  /** The caller's proof of identity. */
  by: Proof;
  stored: Stored;
  /** Whether agents of this hub need a token, except those of an open dialect. */
  agentsNeedTokens: boolean;
}

/** The answer to a caller with the weaker proof. */
export const NOT_YOUR_NODE =
  'the agent that speaks for this node showed a token: show one too, or have an operator remove the node';

/** Weakest first. */
const strength = (by: Proof): number => proofSchema.options.indexOf(by);

/** Whether one proof is stronger than another. */
export const isStronger = (one: Proof, other: Proof): boolean => strength(one) > strength(other);

/**
 * A caller with a weaker proof than the node's agent cannot change the node, in any status: no registration takes it
 * over, no heartbeat counts, no goodbye removes it. An operator's removal frees it.
 */
export function decideClaim({ by, stored, agentsNeedTokens }: Claim): 'granted' | 'not_your_node' {
  if (stored.kind !== 'node') return 'granted';
  return isStronger(incumbentProof(stored.record.node, agentsNeedTokens), by) ? 'not_your_node' : 'granted';
}

/**
 * The proof of a node's agent. A record of version 0.1 has none: where agents need a token, an agent that held a socket
 * or names its program (which no dialect does) had a token; any other may be a device without one.
 */
function incumbentProof({ trust, connection, agent }: FleetNode, agentsNeedTokens: boolean): Proof {
  if (trust) return trust.by;
  const hadToken = connection?.transport === 'websocket' || agent !== undefined;
  return agentsNeedTokens && hadToken ? 'token' : 'none';
}
