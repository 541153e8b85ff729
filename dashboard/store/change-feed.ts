import type { EventType, Reason, Status } from '../../shared/index.ts';
import { type Facet, facetsOf, facetValue } from './facets.ts';
import type { Row, RowEvent } from './rows.ts';

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

/** What a change is to the people who look after the fleet. Each has a budget of its own in the feed. */
const SEVERITIES = ['offline', 'unreachable', 'degraded', 'recovered', 'membership', 'other'] as const;
type Severity = (typeof SEVERITIES)[number];

/** Changes of one severity that are remembered: a storm of one kind pushes none of another out. */
const REMEMBERED = 1_000;
/** How far back a change may be put that came later than others of its time. */
const REORDERED = 500;
/** Nodes of a group that are named. */
const NAMED = 100;
/** From how many on changes of one cause are told as one. */
export const GROUPED_FROM = 4;

const troubled: ReadonlySet<Status | null> = new Set(['degraded', 'unreachable', 'offline']);

type Change = Pick<FeedItem, 'type' | 'from' | 'to'>;

function severityOf({ type, from, to }: Change): Severity {
  if (type === 'registered' || type === 'removed') return 'membership';
  if (from === to || to === null) return 'other';
  if (to !== 'online') return to;
  return troubled.has(from) ? 'recovered' : 'other';
}

const severitiesOf: Readonly<Record<FeedKind, readonly Severity[]>> = {
  all: SEVERITIES,
  trouble: ['offline', 'unreachable', 'degraded'],
  recovered: ['recovered'],
  membership: ['membership'],
};

/** One change of one node: a later life of the same id may count its versions from 1 again. */
const identityOf = ({ nodeId, seq, at }: Pick<FeedItem, 'nodeId' | 'seq' | 'at'>): string =>
  `${nodeId} ${seq} ${at}`;

/** The facets by which people name a part of a fleet, the best first; other labels come between. */
const wellKnown: readonly Facet[] = ['label:rack', 'label:zone', 'location', 'label:region', 'kind', 'pool'];

function rank(facet: Facet): number {
  const place = wellKnown.indexOf(facet);
  return place < 0 ? 2.5 : place;
}

/** The changes of one severity, in order: by time, those of one node by their versions. */
class Remembered {
  items: FeedItem[] = [];
  /** Some were forgotten. */
  cut = false;
  readonly #known = new Set<string>();

  /** Takes a change in, unless it is known. */
  add(item: FeedItem): boolean {
    const identity = identityOf(item);
    if (this.#known.has(identity)) return false;
    this.#known.add(identity);
    let index = this.items.length;
    const least = Math.max(0, index - REORDERED);
    for (let before = this.items[index - 1]; before && index > least; before = this.items[index - 1]) {
      if (before.at <= item.at || (before.nodeId === item.nodeId && before.seq < item.seq)) break;
      index -= 1;
    }
    this.items.splice(index, 0, item);
    // Now and then only, so that a change costs the same whether it is full or not.
    if (this.items.length > 2 * REMEMBERED) this.#forget();
    return true;
  }

  copy(): Remembered {
    const copy = new Remembered();
    copy.items = [...this.items];
    copy.cut = this.cut;
    return copy;
  }

  #forget(): void {
    this.cut = true;
    for (const item of this.items.splice(0, this.items.length - REMEMBERED))
      this.#known.delete(identityOf(item));
  }
}

/** The newest changes, newest first, with those of one cause in a second as one. */
export class ChangeFeed {
  #of = new Map<Severity, Remembered>(SEVERITIES.map((severity) => [severity, new Remembered()]));
  #key = 0;
  #total = 0;

  /** How many changes were ever heard. */
  get total(): number {
    return this.#total;
  }

  /** A change. One that is known already, as after a new picture, is passed over. */
  push(event: RowEvent): void {
    if (this.#add(event)) this.#total += 1;
  }

  /** What happened before the page came, newest first. What is known already is passed over. */
  addHistory(events: readonly RowEvent[]): void {
    for (const event of events.toReversed()) this.#add(event);
  }

  /** The feed as it is now, which stays so: only to be read. */
  still(): ChangeFeed {
    const still = new ChangeFeed();
    still.#of = new Map(Array.from(this.#of, ([severity, remembered]) => [severity, remembered.copy()]));
    still.#total = this.#total;
    return still;
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
    for (const item of this.#newestFirst(kind)) {
      if (!matches(item.row)) continue;
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
    return groups.map((group) => group.done(tells, this.#isCutAt(group)));
  }

  *#newestFirst(kind: FeedKind): Generator<FeedItem> {
    const lists = severitiesOf[kind].map((severity) => {
      const items = this.#of.get(severity)?.items ?? [];
      return { items, next: items.length - 1 };
    });
    for (;;) {
      let newest: (typeof lists)[number] | undefined;
      for (const list of lists) if (isLater(list.items[list.next], newest?.items[newest.next])) newest = list;
      const item = newest?.items[newest.next];
      if (!newest || !item) return;
      newest.next -= 1;
      yield item;
    }
  }

  /** The oldest of a severity that has forgotten some: there may have been more of its group. */
  #isCutAt(group: GroupInMaking): boolean {
    return [...this.#of.values()].some(({ cut, items: [oldest] }) => cut && oldest && group.has(oldest));
  }

  #add(event: RowEvent): boolean {
    const item = this.#item(event);
    return this.#of.get(severityOf(item))?.add(item) ?? false;
  }

  #item({ nodeId, seq, at, type, from, to, reason, node }: RowEvent): FeedItem {
    this.#key += 1;
    const cause = `${type} ${to} ${reason} ${at.slice(0, 19)}`;
    return { key: this.#key, nodeId, seq, at, type, from, to, reason, row: node, cause };
  }
}

/** Which of two changes of different severities is shown first. */
function isLater(one: FeedItem | undefined, other: FeedItem | undefined): boolean {
  if (!one) return false;
  if (!other) return true;
  if (one.nodeId === other.nodeId && one.seq !== other.seq) return one.seq > other.seq;
  return one.at === other.at ? one.key > other.key : one.at > other.at;
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
