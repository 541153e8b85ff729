import type { Status } from '../../shared/index.ts';
import { FacetCounts } from './facets.ts';
import type { Row, RowChange } from './rows.ts';

/** Figures over the whole fleet, kept with each change: one change costs the same in a fleet of any size. */
export class FleetCounts {
  status: Record<Status, number> = { online: 0, degraded: 0, unreachable: 0, offline: 0 };
  facets = new FacetCounts();

  reset({ nodes }: { nodes: ReadonlyMap<string, Row> }): void {
    this.status = { online: 0, degraded: 0, unreachable: 0, offline: 0 };
    this.facets = new FacetCounts();
    for (const after of nodes.values()) this.changed({ before: undefined, after });
  }

  changed({ before, after }: RowChange): void {
    if (before) {
      this.status[before.status] -= 1;
      this.facets.add(before, -1);
    }
    if (after) {
      this.status[after.status] += 1;
      this.facets.add(after, 1);
    }
  }
}
