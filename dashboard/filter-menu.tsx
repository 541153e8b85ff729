import { useEffect, useRef, useState } from 'react';
import type { Filter } from '../shared/index.ts';
import { isChosen, toggled } from './facet-filter.ts';
import { facetName, labelOf } from './store/facets.ts';
import type { ChangeUrl } from './use-page-url.ts';
import { useTopic } from './use-store.ts';
import { count } from './words.ts';

const VALUES_SHOWN = 10;

/** What the fleet can be filtered by, with how many nodes have it. */
export function FilterMenu({ filter, change }: { filter: Filter; change: ChangeUrl }) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: PointerEvent): void => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) setOpen(false);
    };
    document.addEventListener('pointerdown', outside);
    return () => document.removeEventListener('pointerdown', outside);
  }, [open]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Esc is heard for the menu inside
    <div
      className="menu-root"
      ref={root}
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || !open) return;
        event.stopPropagation();
        setOpen(false);
      }}
    >
      <button type="button" className="button" aria-expanded={open} onClick={() => setOpen(!open)}>
        Filter
      </button>
      {open && <Choices filter={filter} change={change} />}
    </div>
  );
}

function Choices({ filter, change }: { filter: Filter; change: ChangeUrl }) {
  const [store] = useTopic('fleet');
  const { facets } = store.counts;
  const offered = facets.all
    .map((facet) => ({ facet, values: [...facets.values(facet)] }))
    .filter(({ facet, values }) => values.length <= 200 || labelOf(facet) === undefined)
    .sort((a, b) => (a.facet < b.facet ? -1 : 1));
  return (
    <div className="menu" role="group" aria-label="Filter by">
      {offered.map(({ facet, values }) => (
        <section key={facet}>
          <h3>{facetName(facet)}</h3>
          <ul>
            {values
              .sort(([a, many], [b, more]) => more - many || (a < b ? -1 : 1))
              .slice(0, VALUES_SHOWN)
              .map(([value, size]) => (
                <li key={value}>
                  <button
                    type="button"
                    className="choice"
                    aria-pressed={isChosen(filter, facet, value)}
                    onClick={() => change({ filter: toggled(filter, facet, value) }, { push: true })}
                  >
                    <span>{value}</span>
                    <span className="quiet">{count(size)}</span>
                  </button>
                </li>
              ))}
          </ul>
          {values.length > VALUES_SHOWN && (
            <p className="quiet">
              and {count(values.length - VALUES_SHOWN)} more: group the map by it, and click
            </p>
          )}
        </section>
      ))}
    </div>
  );
}
