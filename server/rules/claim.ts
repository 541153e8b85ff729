import { type FleetNode, type Proof, proofSchema } from '../../shared/index.ts';
import type { Stored } from '../store/fleet-store.ts';

/** What somebody wants to do to a node; an update rides on the session of its registration. */
export type Verb = 'register' | 'beat' | 'deregister';

export interface Claim {
  verb: Verb;
  /** How the speaker showed who it is. */
  by: Proof;
  stored: Stored;
  /** Whether agents of this hub need a token, but for those of an open dialect. */
  agentsNeedTokens: boolean;
}

/** What is said to whoever showed less. */
export const NOT_YOUR_NODE =
  'the agent that speaks for this node showed a token: show one too, or have an operator remove the node';

/** Weakest first. */
const strength = (by: Proof): number => proofSchema.options.indexOf(by);

/** Whether one proof is more than another. */
export const isStronger = (one: Proof, other: Proof): boolean => strength(one) > strength(other);

/**
 * Whoever showed less than the agent that speaks for a node does nothing to it, in whatever status it is: no
 * registration takes it over, no heartbeat counts, no goodbye removes it. An operator's removal gives it up.
 */
export function decideClaim({ by, stored, agentsNeedTokens }: Claim): 'granted' | 'not_your_node' {
  if (stored.kind !== 'node') return 'granted';
  return isStronger(incumbentProof(stored.record.node, agentsNeedTokens), by) ? 'not_your_node' : 'granted';
}

/**
 * How the agent of a node showed who it is. A record of version 0.1 does not say: where agents need a token, one that
 * held a socket or names its program (which no dialect does) showed one; any other may be a device without.
 */
function incumbentProof({ trust, connection, agent }: FleetNode, agentsNeedTokens: boolean): Proof {
  if (trust) return trust.by;
  const hadToken = connection?.transport === 'websocket' || agent !== undefined;
  return agentsNeedTokens && hadToken ? 'token' : 'none';
}
