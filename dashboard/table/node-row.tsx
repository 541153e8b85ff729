import { memo } from 'react';
import type { LiveStats } from '../../shared/index.ts';
import type { Row } from '../store/rows.ts';
import { COLUMNS } from './columns.tsx';

/** The id of a row in the document, by which the table says which one is active. */
export const rowId = (id: string): string => `row-${id}`;

/** One node in the table; drawn again only where something of it changed. */
export const NodeRow = memo(function NodeRow({
  row,
  stats,
  index,
  top,
  active,
  onOpen,
}: {
  row: Row;
  stats: LiveStats | undefined;
  index: number;
  top: number;
  active: boolean;
  onOpen: (id: string) => void;
}) {
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the grid around the rows has the keys
    <div
      role="row"
      tabIndex={-1}
      id={rowId(row.id)}
      aria-rowindex={index + 2}
      aria-selected={active}
      className={active ? 'table-row is-active' : 'table-row'}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => onOpen(row.id)}
    >
      {COLUMNS.map(({ name, numeric, cell }) => (
        // biome-ignore lint/a11y/useFocusableInteractive: the grid has the focus, and says which row is active
        <div key={name} role="gridcell" className={numeric ? `cell-${name} is-numeric` : `cell-${name}`}>
          {cell(row, stats)}
        </div>
      ))}
    </div>
  );
});
