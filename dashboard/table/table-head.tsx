import type { Sort, SortKey } from '../store/row-view.ts';
import type { ChangeUrl } from '../use-page-url.ts';
import { COLUMNS } from './columns.tsx';

/** The names of the columns; a click orders by one, another the other way round. */
export function TableHead({ sort, change }: { sort: Sort; change: ChangeUrl }) {
  const by = (key: SortKey): void =>
    change({ sort: { key, descending: sort.key === key && !sort.descending } });
  return (
    <div role="rowgroup" className="table-head">
      {/* biome-ignore lint/a11y/useFocusableInteractive: its buttons take the focus */}
      <div role="row" aria-rowindex={1} className="table-row">
        {COLUMNS.map(({ name, title, sort: key, numeric }) => (
          // biome-ignore lint/a11y/useFocusableInteractive: its button takes the focus
          <div
            key={name}
            role="columnheader"
            className={numeric ? `cell-${name} is-numeric` : `cell-${name}`}
            aria-sort={key && key === sort.key ? (sort.descending ? 'descending' : 'ascending') : undefined}
          >
            {key ? (
              <button type="button" className="sorter" onClick={() => by(key)}>
                {title}
                <span className="sort-mark" aria-hidden="true">
                  {key === sort.key ? (sort.descending ? '↓' : '↑') : ''}
                </span>
              </button>
            ) : (
              title
            )}
          </div>
        ))}
      </div>
    </div>
  );
}
