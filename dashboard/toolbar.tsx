import { type RefObject, useEffect, useState } from 'react';
import { type Filter, isEmptyFilter } from '../shared/index.ts';
import { withoutFacet } from './facet-filter.ts';
import { FilterMenu } from './filter-menu.tsx';
import { type PageUrl, VIEWS, type View } from './page-url.ts';
import type { ChangeUrl } from './use-page-url.ts';

const viewWord: Readonly<Record<View, string>> = {
  overview: 'Overview',
  map: 'Map',
  table: 'Table',
  changes: 'Changes',
};

/** Search, filters and what is shown. */
export function Toolbar({
  url,
  change,
  search,
}: {
  url: PageUrl;
  change: ChangeUrl;
  search: RefObject<HTMLInputElement | null>;
}) {
  const { filter, problem, view } = url;
  return (
    <div className="toolbar">
      <SearchField filter={filter} change={change} search={search} />
      <FilterMenu filter={filter} change={change} />
      <Chips filter={filter} change={change} />
      {problem !== undefined && (
        <span className="chip is-wrong" role="alert">
          The filter of this link could not be read ({problem}); everything is shown.
        </span>
      )}
      <span className="spacer" />
      <nav className="views" aria-label="View">
        {VIEWS.map((one) => (
          <button
            key={one}
            type="button"
            aria-current={one === view ? 'page' : undefined}
            onClick={() => change({ view: one }, { push: true })}
          >
            {viewWord[one]}
          </button>
        ))}
      </nav>
    </div>
  );
}

function SearchField({
  filter,
  change,
  search,
}: {
  filter: Filter;
  change: ChangeUrl;
  search: RefObject<HTMLInputElement | null>;
}) {
  const asked = filter.q ?? '';
  const [text, setText] = useState(asked);
  useEffect(() => setText(asked), [asked]);
  return (
    <label className="search">
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <circle cx="7" cy="7" r="4.5" />
        <path d="m10.5 10.5 3.5 3.5" />
      </svg>
      <input
        ref={search}
        type="search"
        value={text}
        maxLength={253}
        placeholder="Hostname, id or address"
        aria-label="Search by hostname, id or address"
        aria-keyshortcuts="/"
        spellCheck={false}
        autoComplete="off"
        onChange={({ target }) => {
          setText(target.value);
          const { q: _, ...rest } = filter;
          change({ filter: target.value === '' ? rest : { ...rest, q: target.value } });
        }}
      />
      <kbd>/</kbd>
    </label>
  );
}

/** What the filter asks for, one by one, each to be taken away. */
function Chips({ filter, change }: { filter: Filter; change: ChangeUrl }) {
  const { kind = [], location, pool, labels = {}, ids, status } = filter;
  const chips: Array<[words: string, without: Filter]> = [
    ...(status ? [[status.join(' or '), withoutStatus(filter)] satisfies [string, Filter]] : []),
    ...(kind.length > 0
      ? [[`kind ${kind.join(' or ')}`, withoutFacet(filter, 'kind')] satisfies [string, Filter]]
      : []),
    ...(location === undefined
      ? []
      : [[`location ${location}`, withoutFacet(filter, 'location')] satisfies [string, Filter]]),
    ...(pool === undefined
      ? []
      : [[`pool ${pool}`, withoutFacet(filter, 'pool')] satisfies [string, Filter]]),
    ...Object.entries(labels).map(
      ([key, value]) => [`${key}=${value}`, withoutFacet(filter, `label:${key}`)] satisfies [string, Filter],
    ),
    ...(ids ? [[`${ids.length} chosen nodes`, withoutIds(filter)] satisfies [string, Filter]] : []),
  ];
  if (isEmptyFilter(filter)) return null;
  return (
    <ul className="chips" aria-label="Filters">
      {chips.map(([words, without]) => (
        <li key={words}>
          <button
            type="button"
            className="chip"
            aria-label={`Remove the filter ${words}`}
            onClick={() => change({ filter: without }, { push: true })}
          >
            {words}
            <span aria-hidden="true">×</span>
          </button>
        </li>
      ))}
      {chips.length > 1 && (
        <li>
          <button type="button" className="link" onClick={() => change({ filter: {} }, { push: true })}>
            Clear all
          </button>
        </li>
      )}
    </ul>
  );
}

function withoutStatus({ status: _, ...rest }: Filter): Filter {
  return rest;
}

function withoutIds({ ids: _, ...rest }: Filter): Filter {
  return rest;
}
