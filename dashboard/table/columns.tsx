import type { ReactNode } from 'react';
import type { LiveStats } from '../../shared/index.ts';
import { StatusGlyph } from '../status-glyph.tsx';
import type { SortKey } from '../store/row-view.ts';
import type { Row } from '../store/rows.ts';
import { shortTime, statusWord, wholeTime } from '../words.ts';

export interface Column {
  name: string;
  title: string;
  /** Live figures are known of the rows on screen only, so that nothing can be sorted by them. */
  sort?: SortKey;
  numeric?: true;
  cell: (row: Row, stats: LiveStats | undefined) => ReactNode;
}

function Percent({ value }: { value: number | null | undefined }) {
  if (value === null || value === undefined) return <span className="quiet">–</span>;
  return (
    <span className="meter" data-high={value >= 90 || undefined}>
      {Math.round(value)}%
    </span>
  );
}

const labelsOf = (row: Row): string =>
  Object.entries(row.labels)
    .map(([key, value]) => `${key}=${value}`)
    .join('  ');

/** The columns of the table, in order. */
export const COLUMNS: readonly Column[] = [
  {
    name: 'status',
    title: 'Status',
    sort: 'status',
    cell: ({ status }) => (
      <span className={`status is-${status}`}>
        <StatusGlyph status={status} />
        {statusWord[status]}
      </span>
    ),
  },
  {
    name: 'since',
    title: 'Since',
    sort: 'since',
    cell: ({ statusSince }) => (
      <time dateTime={statusSince} title={wholeTime(statusSince)}>
        {shortTime(statusSince)}
      </time>
    ),
  },
  {
    name: 'hostname',
    title: 'Hostname',
    sort: 'hostname',
    cell: ({ hostname, id }) => (
      <span className="hostname" title={id === hostname ? hostname : `${hostname} (${id})`}>
        {hostname}
      </span>
    ),
  },
  { name: 'kind', title: 'Kind', sort: 'kind', cell: ({ kind }) => kind },
  { name: 'location', title: 'Location', sort: 'location', cell: ({ location }) => location },
  {
    name: 'labels',
    title: 'Labels',
    cell: (row) => (
      <span className="quiet" title={labelsOf(row)}>
        {labelsOf(row)}
      </span>
    ),
  },
  { name: 'address', title: 'Address', sort: 'address', cell: ({ address }) => address },
  { name: 'hub', title: 'Hub', sort: 'hub', cell: ({ hubId }) => <span className="quiet">{hubId}</span> },
  {
    name: 'cpu',
    title: 'CPU',
    numeric: true,
    cell: (_row, stats) => <Percent value={stats?.cpuPercent} />,
  },
  {
    name: 'memory',
    title: 'Memory',
    numeric: true,
    cell: (_row, stats) => <Percent value={stats?.memoryPercent} />,
  },
  {
    name: 'beat',
    title: 'Last beat',
    numeric: true,
    cell: (_row, stats) =>
      stats?.lastHeartbeatAt ? (
        <time dateTime={stats.lastHeartbeatAt} title={wholeTime(stats.lastHeartbeatAt)}>
          {shortTime(stats.lastHeartbeatAt)}
        </time>
      ) : (
        <span className="quiet">–</span>
      ),
  },
];
