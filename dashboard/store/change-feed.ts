import type { EventType, Reason, Status } from '../../shared/index.ts';
import { type Facet, facetsOf, facetValue } from './facets.ts';
import type { Row, RowEvent } from './wire-rows.ts';

/** A change as the feed remembers it. */
export interface FeedItem {
  /** Counts up: a key for lists. */
  key: number;
  nodeId: string;
  seq: number;
  at: string;
  type: EventType;
  from: Status | null;
  to: Status | null;
  reason: Reason;
  row: Row;
  /** Changes of one kind and one cause within a second have the same. */
  cause: string;
}

/** Changes of one kind and one cause within a second. */
export interface FeedGroup {
  key: number;
  /** The newest, which speaks for all. */
  newest: FeedItem;
  count: number;
  /** The newest few of them. */
  items: FeedItem[];
  /** What all nodes of the group have in common, such as `zone b`; undefined where that is nothing. */
  shared: { facet: Facet; value: string } | undefined;
  /** The feed reaches no further back: there may have been more of them. */
  cut: boolean;
}

export const FEED_KINDS = ['all', 'trouble', 'recovered', 'membership'] as const;
/** What the feed shows: everything, what went wrong, what came back, or who came and went. */
export type FeedKind = (typeof FEED_KINDS)[number];

/** Changes that are remembered. */
const REMEMBERED = 2_000;
/** Nodes of a group that are named. */
const NAMED = 100;
/** From how many on changes of one cause are told as one. */
export const GROUPED_FROM = 4;

const troubled: ReadonlySet<Status | null> = new Set(['degraded', 'unreachable', 'offline']);

export function isOfKind(
  { type, from, to }: Pick<FeedItem, 'type' | 'from' | 'to'>,
  kind: FeedKind,
): boolean {
  if (kind === 'all') return true;
  if (kind === 'membership') return type === 'registered' || type === 'removed';
  if (kind === 'trouble') return from !== to && troubled.has(to);
  return troubled.has(from) && to === 'online';
}

/** The facets by which people name a part of a fleet, the best first; other labels come between. */
const wellKnown: readonly Facet[] = ['label:rack', 'label:zone', 'location', 'label:region', 'kind', 'pool'];

function rank(facet: Facet): number {
  const place = wellKnown.indexOf(facet);
  return place < 0 ? 2.5 : place;
}

/** The newest changes, newest first, with those of one cause in a second as one. */
export class ChangeFeed {
  #items: FeedItem[] = [];
  #key = 0;
  #total = 0;

  /** How many changes were ever heard. */
  get total(): number {
    return this.#total;
  }

  push(event: RowEvent): void {
    this.#items.push(this.#item(event));
    this.#total += 1;
    // Cut now and then only, so that a change costs the same whether the feed is full or not.
    if (this.#items.length > 2 * REMEMBERED) this.#items = this.#items.slice(-REMEMBERED);
  }

  /** What happened before the page came, newest first. What is known already is passed over. */
  addHistory(events: readonly RowEvent[]): void {
    const known = new Set(this.#items.map(({ nodeId, seq }) => `${nodeId} ${seq}`));
    const older = events
      .filter(({ nodeId, seq }) => !known.has(`${nodeId} ${seq}`))
      .map((event) => this.#item(event))
      .reverse();
    this.#items = [...older, ...this.#items].sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  }

  /** The newest groups, newest first, of what is asked for. `tells`: a facet that sets some nodes apart from others. */
  groups(
    kind: FeedKind,
    matches: (row: Row) => boolean,
    most: number,
    tells: (facet: Facet) => boolean = () => true,
  ): FeedGroup[] {
    const groups: GroupInMaking[] = [];
    const open = new Map<string, GroupInMaking>();
    let looked = 0;
    for (let index = this.#items.length - 1; index >= 0 && looked < REMEMBERED; index -= 1, looked += 1) {
      const item = this.#items[index];
      if (!item || !isOfKind(item, kind) || !matches(item.row)) continue;
      const group = open.get(item.cause);
      if (group) {
        group.add(item);
        continue;
      }
      if (groups.length >= most) break;
      const made = new GroupInMaking(item);
      open.set(item.cause, made);
      groups.push(made);
    }
    const [oldest] = this.#items;
    return groups.map((group) => group.done(tells, oldest !== undefined && group.has(oldest)));
  }

  #item({ nodeId, seq, at, type, from, to, reason, node }: RowEvent): FeedItem {
    this.#key += 1;
    const cause = `${type} ${to} ${reason} ${at.slice(0, 19)}`;
    return { key: this.#key, nodeId, seq, at, type, from, to, reason, row: node, cause };
  }
}

class GroupInMaking {
  readonly #items: FeedItem[] = [];
  readonly #newest: FeedItem;
  readonly #common: Map<Facet, string>;
  #key: number;
  #count = 1;

  constructor(newest: FeedItem) {
    this.#newest = newest;
    this.#key = newest.key;
    this.#items.push(newest);
    this.#common = new Map(facetsOf(newest.row));
  }

  add(item: FeedItem): void {
    this.#count += 1;
    // The oldest names the group: its key stays while the group grows.
    this.#key = item.key;
    if (this.#items.length < NAMED) this.#items.push(item);
    if (this.#common.size === 0) return;
    for (const [facet, value] of this.#common)
      if (facetValue(item.row, facet) !== value) this.#common.delete(facet);
  }

  has(item: FeedItem): boolean {
    return this.#key === item.key;
  }

  done(tells: (facet: Facet) => boolean, cut: boolean): FeedGroup {
    const common = [...this.#common].filter(([facet]) => tells(facet));
    const [best] = common.sort(([a], [b]) => rank(a) - rank(b));
    const shared = best && { facet: best[0], value: best[1] };
    return { key: this.#key, newest: this.#newest, count: this.#count, items: this.#items, shared, cut };
  }
}
