import { v5 as uuidV5 } from 'uuid';
import { type NodeFacts, normalHostname } from '../../shared/index.ts';
import type { Stored } from '../store/fleet-store.ts';

/** The namespace that RFC 9562 gives to DNS names, and so to hostnames. */
const DNS_NAMESPACE = uuidV5.DNS;

type Named = Pick<NodeFacts, 'nodeId' | 'hostname'>;

/** The node that a registration is for. */
export interface Identity {
  id: string;
  /** Another node with the same host name in another spelling. */
  duplicate?: string;
}

/** The id derived from a host name. */
const idOf = (hostname: string): string => uuidV5(normalHostname(hostname), DNS_NAMESPACE);

/** The id that earlier hubs derived from the exact spelling. */
const formerIdOf = (hostname: string): string => uuidV5(hostname, DNS_NAMESPACE);

/**
 * The id of a node: its agent's own, else the UUIDv5 of its normalized host name. The same machine gets the same id on
 * every hub and in an emptied store, and two first registrations at the same moment need no arbiter. A node that has
 * the id of another spelling, or had it within a day, keeps it: ids of a fleet do not change.
 */
export async function identify(
  { nodeId, hostname }: Named,
  read: (id: string) => Promise<Stored>,
): Promise<Identity> {
  if (nodeId !== undefined) return { id: nodeId };
  const [id, former] = [idOf(hostname), formerIdOf(hostname)];
  if (id === former || (await read(former)).kind === 'nothing') return { id };
  return (await read(id)).kind === 'node' ? { id: former, duplicate: id } : { id: former };
}

/** Whether a `register` on a live session is for the session's node: its host name may come in another spelling. */
export function namesSameNode({ nodeId, hostname }: Named, node: { id: string; hostname: string }): boolean {
  if (nodeId !== undefined) return nodeId === node.id;
  const ids = [idOf(hostname), formerIdOf(hostname)];
  if (normalHostname(hostname) === normalHostname(node.hostname)) ids.push(formerIdOf(node.hostname));
  return ids.includes(node.id);
}

/** The detail in the evidence of two nodes with the same host name. */
export const duplicateDetail = (other: string): string =>
  `node ${other} has the same host name in another spelling`;
