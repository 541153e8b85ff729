import { useState } from 'react';
import { type Filter, matcher, reasonWords } from '../../shared/index.ts';
import { StatusGlyph } from '../status-glyph.tsx';
import {
  type ChangeFeed,
  FEED_KINDS,
  type FeedGroup,
  type FeedItem,
  type FeedKind,
  GROUPED_FROM,
} from '../store/change-feed.ts';
import { type Facet, facetWords } from '../store/facets.ts';
import type { ChangeUrl } from '../use-page-url.ts';
import { useTopic } from '../use-store.ts';
import { count, happened, happenedToMany, shortTime, wholeTime } from '../words.ts';

const SHOWN_GROUPS = 80;

const kindWord: Readonly<Record<FeedKind, string>> = {
  all: 'All',
  trouble: 'Trouble',
  recovered: 'Recovered',
  membership: 'Joined and left',
};

type Line = { key: string; group: FeedGroup } | { key: string; item: FeedItem };

/** A few changes are told one by one, many of one cause as one. */
function linesOf(groups: readonly FeedGroup[]): Line[] {
  return groups.flatMap((group): Line[] =>
    group.count >= GROUPED_FROM
      ? [{ key: `g${group.key}`, group }]
      : group.items.map((item) => ({ key: `i${item.key}`, item })),
  );
}

/** The newest changes of the nodes that match. */
export function FeedPanel({ filter, kind, change }: { filter: Filter; kind: FeedKind; change: ChangeUrl }) {
  const [store] = useTopic('fleet');
  const [paused, setPaused] = useState<ChangeFeed>();
  // The status of a node is what changes: a feed of what is offline now would never say that something came back.
  const { status: _, ...wherever } = filter;
  const matches = matcher(wherever);
  // What all nodes have in common says nothing of a few of them.
  const { facets } = store.counts;
  const tells = (facet: Facet): boolean => facets.values(facet).size > 1;
  const lines = linesOf((paused ?? store.feed).groups(kind, matches, SHOWN_GROUPS, tells));
  const missed = paused ? store.feed.total - paused.total : 0;
  const open = (node: string): void => change({ node }, { push: true });
  return (
    <section className="panel feed-panel" aria-label="Changes">
      <div className="panel-head">
        <h2>Changes</h2>
        <span className="spacer" />
        <label className="picker">
          <span className="off-screen">Show</span>
          <select
            value={kind}
            onChange={({ target }) =>
              change({ feed: FEED_KINDS.find((one) => one === target.value) ?? 'all' })
            }
          >
            {FEED_KINDS.map((one) => (
              <option key={one} value={one}>
                {kindWord[one]}
              </option>
            ))}
          </select>
        </label>
        <button
          type="button"
          className="button"
          aria-pressed={paused !== undefined}
          onClick={() => setPaused(paused ? undefined : store.feed.still())}
        >
          {paused ? (missed > 0 ? `Resume (${count(missed)} new)` : 'Resume') : 'Pause'}
        </button>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be reached by keyboard */}
      <ol className="feed" tabIndex={0} aria-label="Newest changes first">
        {lines.length === 0 && <li className="feed-none quiet">Nothing of this kind happened yet.</li>}
        {lines.map((line) =>
          'item' in line ? (
            <SingleChange key={line.key} item={line.item} onOpen={open} />
          ) : (
            <ManyChanges key={line.key} group={line.group} onOpen={open} />
          ),
        )}
      </ol>
    </section>
  );
}

function Mark({ item }: { item: FeedItem }) {
  if (item.to !== null && item.type !== 'removed') return <StatusGlyph status={item.to} />;
  return <span className="glyph glyph-gone" aria-hidden="true" />;
}

/** What says why, where the first words do not. */
const because = (item: FeedItem): string | undefined =>
  item.from !== item.to && item.type !== 'registered' && item.type !== 'removed'
    ? reasonWords[item.reason]
    : undefined;

function SingleChange({ item, onOpen }: { item: FeedItem; onOpen: (id: string) => void }) {
  const why = because(item);
  return (
    <li className="feed-item">
      <time dateTime={item.at} title={wholeTime(item.at)}>
        {shortTime(item.at)}
      </time>
      <Mark item={item} />
      <span className="feed-words">
        <button type="button" className="link" onClick={() => onOpen(item.nodeId)}>
          {item.row.hostname}
        </button>{' '}
        {happened(item)}
        {why && <span className="feed-why">{why}</span>}
      </span>
    </li>
  );
}

function ManyChanges({ group, onOpen }: { group: FeedGroup; onOpen: (id: string) => void }) {
  const [unfolded, setUnfolded] = useState(false);
  const { newest, count: size, items, shared, cut } = group;
  const where = shared && facetWords(shared.facet, shared.value);
  const why = because(newest);
  return (
    <li className="feed-item is-many">
      <time dateTime={newest.at} title={wholeTime(newest.at)}>
        {shortTime(newest.at)}
      </time>
      <Mark item={newest} />
      <span className="feed-words">
        <button
          type="button"
          className="link"
          aria-expanded={unfolded}
          onClick={() => setUnfolded(!unfolded)}
        >
          {cut && 'At least '}
          {count(size)} nodes
        </button>
        {where && ` in ${where}`} {happenedToMany(newest)}
        {why && <span className="feed-why">{why}</span>}
        {unfolded && (
          <span className="feed-nodes">
            {items.map(({ key, nodeId, row }) => (
              <button key={key} type="button" className="link" onClick={() => onOpen(nodeId)}>
                {row.hostname}
              </button>
            ))}
            {size > items.length && <span className="quiet">and {count(size - items.length)} more</span>}
          </span>
        )}
      </span>
    </li>
  );
}
