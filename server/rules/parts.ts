import type { Facts, FleetNode, Liveness, Trust } from '../../shared/index.ts';

/**
 * A node in the parts that its owners write: the agent its facts, the hubs the rest. Each rule that makes a node makes
 * it from these, so that the compiler demands a new part or field wherever a node is made.
 */
export interface NodeParts {
  id: string;
  seq: number;
  facts: Facts;
  liveness: Liveness;
  trust: Trust | undefined;
}

/** The flat node of its parts. */
export function joinParts({ id, seq, facts, liveness, trust }: NodeParts): FleetNode {
  // The facts come last: V8 copies them in whole, while fields that are added to a copy cost it many times as much.
  return { id, seq, ...liveness, ...(trust && { trust }), ...facts };
}

/** The part of a node that the hubs own. */
export function livenessOf(node: FleetNode): Liveness {
  const {
    status,
    reason,
    statusSince,
    conditions,
    evidence,
    heartbeat,
    connection,
    createdAt,
    registeredAt,
  } = node;
  return {
    status,
    reason,
    statusSince,
    conditions,
    evidence,
    heartbeat,
    connection,
    createdAt,
    registeredAt,
  };
}
