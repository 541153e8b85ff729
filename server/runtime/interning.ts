import type { FleetNode, NodeFacts } from '../../shared/index.ts';

/** Distinct values of one kind that are cached; a fleet has few racks and models, or shares nothing worth the cache. */
const MOST_VALUES = 5_000;

/** Equal values, held once. */
class Values<T> {
  readonly #known = new Map<string, T>();

  /** A value equal to this one, the same object for all callers. It must never be changed in place. */
  one(value: T): T {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    if (this.#known.size >= MOST_VALUES) this.#known.clear();
    this.#known.set(text, value);
    return value;
  }
}

const words = new Values<string>();
const lists = new Values<string[]>();
const labels = new Values<NodeFacts['labels']>();
const cpus = new Values<NonNullable<NodeFacts['cpu']>>();
const memories = new Values<NonNullable<NodeFacts['memory']>>();
const agents = new Values<NonNullable<NodeFacts['agent']>>();
const timings = new Values<FleetNode['heartbeat']>();
const trusts = new Values<NonNullable<FleetNode['trust']>>();
/** Shared: it must not be changed in place. */
export const noConditions: FleetNode['conditions'] = [];

/** The features that an agent announced, held once. */
export const sharedFeatures = (features: string[]): readonly string[] => lists.one(features);

/** The kind of proof that a node's agent gave, held once. */
export const trustBy = (by: NonNullable<FleetNode['trust']>['by']) => trusts.one({ by });

/**
 * Makes facts that many machines have in common (labels, roles, processors …) one object for all: they are the larger
 * half of a fleet in memory. To be called on a fresh object without other references.
 */
export function shareFacts(facts: NodeFacts): void {
  if (facts.kind !== undefined) facts.kind = words.one(facts.kind);
  if (facts.location !== undefined) facts.location = words.one(facts.location);
  facts.labels = labels.one(facts.labels);
  facts.roles = lists.one(facts.roles);
  facts.pools = lists.one(facts.pools);
  if (facts.cpu) facts.cpu = cpus.one(facts.cpu);
  if (facts.memory) facts.memory = memories.one(facts.memory);
  if (facts.agent) facts.agent = agents.one(facts.agent);
}

/** The same for a whole node that was just read. */
export function shareNode(node: FleetNode): void {
  shareFacts(node);
  node.heartbeat = timings.one(node.heartbeat);
  if (node.trust) node.trust = trusts.one(node.trust);
  if (node.conditions.length === 0) node.conditions = noConditions;
  // Instants of one registration are one text.
  const { createdAt, connection, evidence } = node;
  if (node.registeredAt === createdAt) node.registeredAt = createdAt;
  if (node.statusSince === createdAt) node.statusSince = createdAt;
  if (connection) {
    connection.hubId = words.one(connection.hubId);
    connection.remoteAddress = words.one(connection.remoteAddress);
    if (connection.since === node.registeredAt) connection.since = node.registeredAt;
  }
  if (evidence.hubId !== undefined) evidence.hubId = words.one(evidence.hubId);
  if (evidence.by !== undefined) evidence.by = words.one(evidence.by);
  if (evidence.lastHeartbeatAt === node.registeredAt) evidence.lastHeartbeatAt = node.registeredAt;
}
