import type { Difference as DifferenceOf, Hole } from '../../client/index.ts';
import type { DashboardEvent, FleetNode, HubState, NodeSummary } from '../../shared/index.ts';

/** A node as `watch` and lists show it. */
export type ShownNode = FleetNode | NodeSummary;
export type Difference = DifferenceOf<ShownNode>;

/** What `watch` tells of, in words or as JSON. */
export interface Report {
  snapshot(nodes: readonly ShownNode[]): void;
  change(event: DashboardEvent, before: ShownNode | undefined): void;
  /** After a picture that replaces an older one: what happened in between is known only by its outcome. */
  differences(differences: readonly Difference[], total: number): void;
  hub(state: HubState): void;
  connection(state: 'lost' | 'unreachable', why: string): void;
  back(how: { resumed: boolean }): void;
  resync(reason: string): void;
  hole(hole: Hole): void;
}

/** Where a report goes. */
export interface Output {
  write(text: string): void;
  colour: boolean;
  /** Of the terminal; none where the output goes elsewhere. */
  columns?: number | undefined;
}

export const byHostname = (a: ShownNode, b: ShownNode): number =>
  a.hostname < b.hostname ? -1 : a.hostname > b.hostname ? 1 : a.id < b.id ? -1 : 1;

/** How many nodes have each status. */
export function countByStatus(nodes: Iterable<ShownNode>): Record<ShownNode['status'], number> {
  const counts = { online: 0, degraded: 0, unreachable: 0, offline: 0 };
  for (const { status } of nodes) counts[status] += 1;
  return counts;
}
