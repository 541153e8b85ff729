import { useEffect, useRef } from 'react';
import { NodeDrawer } from './drawer/node-drawer.tsx';
import { EmptyFleet } from './empty-fleet.tsx';
import { FeedPanel } from './feed/feed-panel.tsx';
import { freshness } from './freshness.ts';
import { Header } from './header.tsx';
import { bestFacet } from './map/group-picker.tsx';
import { MapPanel } from './map/map-panel.tsx';
import { FirstPicture, Refused, StaleNotice } from './notices.tsx';
import type { PageUrl } from './page-url.ts';
import { TablePanel } from './table/table-panel.tsx';
import { storedToken, storeToken } from './token.ts';
import { Toolbar } from './toolbar.tsx';
import { type ChangeUrl, usePageUrl } from './use-page-url.ts';
import { useMedia, useStore, useTopic } from './use-store.ts';

/** Where typing is meant for a field, a single letter is no command. */
const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

/** The whole page. */
export function App() {
  const [url, change] = usePageUrl();
  const [store] = useTopic('standing');
  const { link, pictured } = store.standing;
  const search = useRef<HTMLInputElement>(null);

  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.key === '/' && !isTyping(event.target) && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        search.current?.focus();
        search.current?.select();
      } else if (event.key === 'Escape' && !event.defaultPrevented) {
        if (event.target === search.current) search.current?.blur();
        else change({ node: undefined });
      }
    };
    document.addEventListener('keydown', press);
    return () => document.removeEventListener('keydown', press);
  }, [change]);

  const enter = (token: string): void => {
    storeToken(token);
    store.connect(token);
  };
  if (link.kind === 'refused') {
    return (
      <div className="page">
        <Header filter={url.filter} change={change} />
        <main className="alone">
          <Refused key={storedToken()} code={link.code} onToken={enter} />
        </main>
      </div>
    );
  }
  const { tone } = freshness(store.standing);
  return (
    <div className={url.node === undefined ? 'page' : 'page has-drawer'} data-fresh={tone}>
      <Header filter={url.filter} change={change} />
      {pictured ? (
        <Fleet url={url} change={change} search={search} />
      ) : (
        <main className="alone">
          <FirstPicture link={link} />
        </main>
      )}
      {pictured && url.node !== undefined && (
        <NodeDrawer key={url.node} id={url.node} onClose={() => change({ node: undefined })} />
      )}
    </div>
  );
}

function Fleet({
  url,
  change,
  search,
}: {
  url: PageUrl;
  change: ChangeUrl;
  search: React.RefObject<HTMLInputElement | null>;
}) {
  const [store] = useTopic('fleet');
  const { filter, sort, view, node, feed } = url;
  useTitle();
  // Both do nothing where nothing else is asked for.
  store.rows.ask(filter, sort);
  const group = url.group === 'none' ? undefined : (url.group ?? bestFacet(store));
  store.grouping.ask(group);

  if (store.picture.size === 0) {
    return (
      <main className="alone">
        <StaleNotice />
        <EmptyFleet tokens={storedToken() !== undefined} />
      </main>
    );
  }
  return (
    <main className={`fleet is-${view}`}>
      <Toolbar url={url} change={change} search={search} />
      <StaleNotice />
      <div className="panels">
        {(view === 'overview' || view === 'map') && <MapArea {...{ filter, node, view, change }} />}
        {(view === 'overview' || view === 'table') && <TablePanel sort={sort} node={node} change={change} />}
        <FeedArea {...{ filter, feed, view, change }} />
      </div>
    </main>
  );
}

function MapArea({
  filter,
  node,
  view,
  change,
}: Pick<PageUrl, 'filter' | 'node' | 'view'> & { change: ChangeUrl }) {
  const tall = useMedia('(min-height: 1000px)');
  const small = useMedia('(max-width: 620px)');
  const overview = small ? 260 : tall ? 430 : 330;
  return (
    <MapPanel
      filter={filter}
      selected={node}
      height={view === 'map' ? Math.max(400, window.innerHeight - 220) : overview}
      change={change}
    />
  );
}

function FeedArea({
  filter,
  feed,
  view,
  change,
}: Pick<PageUrl, 'filter' | 'feed' | 'view'> & { change: ChangeUrl }) {
  const wide = useMedia('(min-width: 1180px)');
  if (view !== 'changes' && !(wide && view === 'overview')) return null;
  return <FeedPanel filter={filter} kind={feed} change={change} />;
}

/** Tells in the tab's title what needs eyes. */
function useTitle(): void {
  const store = useStore();
  const { offline, unreachable } = store.counts.status;
  const gone = offline + unreachable;
  useEffect(() => {
    document.title = gone > 0 ? `${gone} not reached · Rollcall` : 'Rollcall';
  }, [gone]);
}
