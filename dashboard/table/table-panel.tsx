import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef, useState } from 'react';
import { CopyButton } from '../copy-button.tsx';
import type { Sort } from '../store/row-view.ts';
import type { ChangeUrl } from '../use-page-url.ts';
import { useMedia, useSettled, useTopic } from '../use-store.ts';
import { count, nodes } from '../words.ts';
import { rowsAsCsv, rowsAsJson } from './export-rows.ts';
import { NodeRow, rowId } from './node-row.tsx';
import { TableHead } from './table-head.tsx';

const ROW_PX = 34;
const CARD_PX = 58;
const WATCH_AFTER_MS = 150;
/** What an arrow does to the active place. */
function moved(key: string, from: number, page: number, size: number): number | undefined {
  const steps: Readonly<Record<string, number>> = {
    ArrowDown: from + 1,
    ArrowUp: from - 1,
    PageDown: from + page,
    PageUp: from - page,
    Home: 0,
    End: size - 1,
  };
  const to = Object.hasOwn(steps, key) ? steps[key] : undefined;
  return to === undefined ? undefined : Math.max(0, Math.min(size - 1, to));
}

/** The nodes that match, as a table of any length. */
export function TablePanel({
  sort,
  node,
  change,
}: {
  sort: Sort;
  node: string | undefined;
  change: ChangeUrl;
}) {
  const [store] = useTopic('fleet');
  useTopic('figures');
  const scroll = useRef<HTMLDivElement>(null);
  const [activeId, setActiveId] = useState<string>();
  const cards = useMedia('(max-width: 620px)');
  const rowPx = cards ? CARD_PX : ROW_PX;
  const { rows } = store.rows;
  const virtual = useVirtualizer({
    count: rows.size,
    getScrollElement: () => scroll.current,
    estimateSize: () => rowPx,
    overscan: 6,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: rows of another height are measured afresh
  useEffect(() => virtual.measure(), [virtual, rowPx]);

  const shown = virtual.getVirtualItems();
  const ids = shown.flatMap(({ index }) => rows.at(index)?.id ?? []).join(' ');
  const watched = useSettled(ids, WATCH_AFTER_MS);
  useEffect(() => store.watch('table', watched === '' ? [] : watched.split(' ')), [store, watched]);
  useEffect(() => () => store.watch('table', []), [store]);

  const active = activeId ?? node;
  const activeRow = active === undefined ? undefined : store.picture.nodes.get(active);
  const activeIndex = activeRow ? rows.indexOf(activeRow) : -1;
  const open = useRef((id: string) => {
    setActiveId(id);
    change({ node: id }, { push: true });
  });
  const press = (event: React.KeyboardEvent): void => {
    if (event.target !== scroll.current) return;
    const page = Math.max(1, shown.length - 12);
    const to = moved(event.key, activeIndex, page, rows.size);
    const target = to === undefined ? undefined : rows.at(to);
    if (to !== undefined && target) {
      event.preventDefault();
      setActiveId(target.id);
      virtual.scrollToIndex(to, { align: 'auto' });
    } else if (event.key === 'Enter' && activeRow) {
      event.preventDefault();
      open.current(activeRow.id);
    }
  };

  return (
    <section className="panel table-panel" aria-label="Table">
      <div className="panel-head">
        <h2>Nodes</h2>
        <span className="panel-count" aria-live="polite">
          {rows.size === store.picture.size
            ? count(rows.size)
            : `${count(rows.size)} of ${count(store.picture.size)}`}
        </span>
        <span className="spacer" />
        <CopyButton label="Copy JSON" text={() => rowsAsJson(rows)} />
        <CopyButton label="Copy CSV" text={() => rowsAsCsv(rows)} />
      </div>
      {rows.size === 0 ? (
        <div className="empty-result">
          <h3>No node matches</h3>
          <p>None of the {nodes(store.picture.size)} of this fleet has all that the filter asks for.</p>
          <button type="button" className="button" onClick={() => change({ filter: {} })}>
            Clear the filter
          </button>
        </div>
      ) : (
        <div
          ref={scroll}
          className="table-scroll"
          role="grid"
          aria-label="Nodes"
          aria-rowcount={rows.size + 1}
          aria-activedescendant={activeIndex >= 0 && active !== undefined ? rowId(active) : undefined}
          tabIndex={0}
          onKeyDown={press}
        >
          <TableHead sort={sort} change={change} />
          <div className="table-body" role="rowgroup" style={{ height: virtual.getTotalSize() }}>
            {shown.map(({ index, start }) => {
              const row = rows.at(index);
              return (
                row && (
                  <NodeRow
                    key={row.id}
                    row={row}
                    stats={store.figures.get(row.id)}
                    index={index}
                    top={start}
                    active={row.id === active}
                    onOpen={open.current}
                  />
                )
              );
            })}
          </div>
        </div>
      )}
    </section>
  );
}
