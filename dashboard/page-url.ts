import { type Filter, filterFromQuery, filterQuery, filterSchema, queryPairs } from '../shared/index.ts';
import { FEED_KINDS, type FeedKind } from './store/change-feed.ts';
import type { Facet } from './store/facets.ts';
import { SORT_KEYS, type Sort } from './store/row-view.ts';

export const VIEWS = ['overview', 'map', 'table', 'changes'] as const;
export type View = (typeof VIEWS)[number];

/** The whole state of the page, as it stands in the address: the link shows the same to others. */
export interface PageUrl {
  filter: Filter;
  /** What is wrong with the filter in the address, where it could not be read. */
  problem: string | undefined;
  sort: Sort;
  /** Undefined: the best that there is. `none`: all in one. */
  group: Facet | 'none' | undefined;
  view: View;
  node: string | undefined;
  feed: FeedKind;
}

const DEFAULT_SORT: Sort = { key: 'status', descending: false };

const ownKeys: ReadonlySet<string> = new Set(['sort', 'group', 'view', 'node', 'feed']);

const oneOf = <T extends string>(options: readonly T[], value: string | null): T | undefined =>
  options.find((option) => option === value);

function readFacet(text: string | null): PageUrl['group'] {
  if (text === null) return undefined;
  if (text.startsWith('label:')) return `label:${text.slice('label:'.length)}`;
  return oneOf(['none', 'kind', 'location', 'pool'] as const, text);
}

/** The parts of a filter that can be read, and what is wrong with the first that cannot. */
function readFilter(asked: Readonly<Record<string, unknown>>): Pick<PageUrl, 'filter' | 'problem'> {
  const left = { ...asked };
  let problem: string | undefined;
  // Each turn takes at least one part out, or all of them.
  for (let parts = Object.keys(left).length; parts >= 0; parts -= 1) {
    const read = filterSchema.safeParse(left);
    if (read.success) return { filter: read.data, problem };
    const [issue] = read.error.issues;
    problem ??= issue && `${issue.path.join('.') || 'filter'}: ${issue.message}`;
    const wrong = read.error.issues.flatMap(({ path, code, ...rest }) =>
      code === 'unrecognized_keys' && path.length === 0 && 'keys' in rest ? rest.keys : path.slice(0, 1),
    );
    for (const key of wrong) delete left[String(key)];
  }
  return { filter: {}, problem };
}

/** Reads the query of an address. What cannot be read is passed over, but for the filter, where it is said. */
export function readPageUrl(search: string): PageUrl {
  const query = new URLSearchParams(queryPairs(search));
  const asked = filterFromQuery([...query].filter(([key]) => !ownKeys.has(key)));
  const { filter, problem } = readFilter(asked);
  const sort = query.get('sort');
  const key = oneOf(SORT_KEYS, sort?.replace(/^-/, '') ?? null);
  return {
    filter,
    problem,
    sort: key ? { key, descending: sort?.startsWith('-') ?? false } : DEFAULT_SORT,
    group: readFacet(query.get('group')),
    view: oneOf(VIEWS, query.get('view')) ?? 'overview',
    node: query.get('node') ?? undefined,
    feed: oneOf(FEED_KINDS, query.get('feed')) ?? 'all',
  };
}

/** The query of an address; empty where everything is as it is without one. */
export function formatPageUrl({ filter, sort, group, view, node, feed }: PageUrl): string {
  const query = new URLSearchParams(filterQuery(filter));
  if (sort.key !== DEFAULT_SORT.key || sort.descending)
    query.set('sort', `${sort.descending ? '-' : ''}${sort.key}`);
  if (group !== undefined) query.set('group', group);
  if (view !== 'overview') query.set('view', view);
  if (feed !== 'all') query.set('feed', feed);
  if (node !== undefined) query.set('node', node);
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}
