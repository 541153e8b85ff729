import type { ChangeEvent } from '../../client/index.ts';
import type { NodeSummary } from '../../shared/index.ts';

/** A node as the page lists it. */
export type Row = NodeSummary;
/** A change as the page gets it. */
export type RowEvent = ChangeEvent<Row>;

/** What one change did to the list of nodes. */
export interface RowChange {
  before: Row | undefined;
  after: Row | undefined;
}
