import type { Row, RowEvent } from '../../dashboard/store/rows.ts';
import { type Reason, type Status, summarize } from '../../shared/index.ts';
import { fleetNode, someInstant } from '../support/fixtures.ts';

/** A row as the wire brings it. */
export function row(id: string, facts: Partial<Row> = {}): Row {
  return { ...summarize(fleetNode({ id })), ...facts };
}

/** The change that made a row what it is. */
export function eventOf(
  node: Row,
  facts: Partial<Omit<RowEvent, 'node'>> & { from?: Status | null } = {},
): RowEvent {
  return {
    seq: node.seq,
    type: 'status',
    nodeId: node.id,
    at: someInstant,
    from: node.status,
    to: node.status,
    reason: node.reason,
    evidence: {},
    node,
    ...facts,
  };
}

/** The next version of a row. */
export function next(before: Row, status: Status, reason: Reason = 'connection_lost'): RowEvent {
  const after = { ...before, seq: before.seq + 1, status, reason };
  return eventOf(after, { from: before.status, to: status });
}
