import { printableLines } from '../../shared/index.ts';
import { byHostname, countByStatus, type Output, type Report } from './report.ts';

/** Tells everything as lines of JSON, one object each, with a `type`. */
export function jsonReport(output: Output): Report {
  const line = (type: string, fields: object): void => {
    output.write(`${printableLines(JSON.stringify({ type, ...fields }))}\n`);
  };
  return {
    snapshot: (nodes) =>
      line('snapshot', { counts: countByStatus(nodes), nodes: nodes.toSorted(byHostname) }),
    change: (event) => line('change', { event }),
    differences: (differences) => {
      for (const { id, before = null, after = null } of differences)
        line('difference', { id, before, after });
    },
    hub: (state) => line('hub', state),
    connection: (state, reason) => line('connection', { state, reason }),
    back: ({ resumed }) => line('connection', { state: 'back', resumed }),
    resync: (reason) => line('resync', { reason }),
    hole: (hole) => line('hole', hole),
  };
}
