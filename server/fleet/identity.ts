import { v5 as uuidV5 } from 'uuid';

/** The namespace that RFC 9562 gives to DNS names, which hostnames are. */
const DNS_NAMESPACE = uuidV5.DNS;

/**
 * The id of a node: its agent's own, else the UUIDv5 of its hostname. The same machine gets the same id on
 * every hub and in an emptied store, and two first registrations at the same moment need no arbiter.
 */
export function nodeIdOf(facts: { nodeId?: string; hostname: string }): string {
  return facts.nodeId ?? uuidV5(facts.hostname, DNS_NAMESPACE);
}
