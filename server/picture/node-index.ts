import {
  type Filter,
  type FleetNode,
  foldText,
  matcher,
  type NodeSortKey,
  searchTextOf,
} from '../../shared/index.ts';
import { compareKeys, type OrderKey, SortedEntries } from './sorted-entries.ts';
import { sorting } from './sorting.ts';

/** A page of up to this many nodes is selected directly; beyond it a kept order is walked until the page is full. */
const SELECTED_DIRECTLY = 10_000;

export interface PageRequest {
  filter: Filter;
  sort: NodeSortKey;
  descending: boolean;
  /** The end of the previous page. */
  after?: OrderKey;
  limit: number;
}

export interface NodePage {
  nodes: FleetNode[];
  /** Matching nodes on all pages. */
  total: number;
  /** The end of this page, if there is more. */
  end: OrderKey | undefined;
}

const sortValue = (node: FleetNode, sort: NodeSortKey): string => node[sort] ?? '';

export const keyOf = (node: FleetNode, sort: NodeSortKey): OrderKey => ({
  value: sortValue(node, sort),
  id: node.id,
});

/**
 * Indexes for lists: the nodes by each value of the filter's fields, and in each order in use. With 100,000 nodes a
 * filtered page then takes milliseconds, and a change microseconds. Adding a node twice has no further effect, so that
 * an index can be filled while the fleet changes.
 */
export class NodeIndex {
  readonly #entries = new Map<string, Entry>();
  readonly #facets: Readonly<Record<'status' | 'kind' | 'location' | 'pool', Facet>> = {
    status: new Map(),
    kind: new Map(),
    location: new Map(),
    pool: new Map(),
  };
  readonly #labels = new Map<string, Facet>();
  /** The orders in use. */
  readonly #orders = new Map<NodeSortKey, Order>();

  get size(): number {
    return this.#entries.size;
  }

  put(node: FleetNode): void {
    const known = this.#entries.get(node.id);
    if (known?.node === node) return;
    const before = known?.node;
    const entry: Entry = known ?? { node, text: undefined };
    if (known) this.#dropFacets(known);
    else this.#entries.set(node.id, entry);
    entry.node = node;
    entry.text = undefined;
    this.#addFacets(entry);
    for (const [sort, { entries, touched }] of this.#orders) {
      if (before && sortValue(before, sort) === sortValue(node, sort)) continue;
      touched?.add(node.id);
      if (touched) continue;
      if (before) entries.delete(keyOf(before, sort));
      entries.insert({ ...keyOf(node, sort), entry });
    }
  }

  delete(id: string): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    this.#entries.delete(id);
    this.#dropFacets(entry);
    for (const [sort, { entries, touched }] of this.#orders) {
      if (touched) touched.add(id);
      else entries.delete(keyOf(entry.node, sort));
    }
  }

  /**
   * Builds what a request's pages need: an order of many nodes, and the texts for `q`. In small steps, between which
   * the fleet may change.
   */
  *preparing({ sort, filter }: Pick<PageRequest, 'sort' | 'filter'>): Generator<void, void> {
    if (this.size > SELECTED_DIRECTLY && !this.#orders.has(sort)) yield* this.#ordering(sort);
    if (filter.q === undefined) return;
    for (const entry of this.#entries.values()) {
      entry.text ??= searchTextOf(entry.node);
      yield;
    }
  }

  *#ordering(sort: NodeSortKey): Generator<void, void> {
    const touched = new Set<string>();
    const order: Order = { entries: new SortedEntries<Ordered>([]), touched };
    this.#orders.set(sort, order);
    const items: Ordered[] = [];
    for (const entry of [...this.#entries.values()]) items.push({ ...keyOf(entry.node, sort), entry });
    const sorted = yield* sorting(items, compareKeys);
    order.entries = new SortedEntries(sorted.filter(({ id }) => !touched.has(id)));
    order.touched = undefined;
    for (const id of touched) {
      const entry = this.#entries.get(id);
      if (entry) order.entries.insert({ ...keyOf(entry.node, sort), entry });
    }
  }

  /** The number of nodes by value; a node without one is not counted. */
  counts(by: 'status' | 'kind' | 'location' | { label: string }): Map<string, number> {
    const facet = typeof by === 'string' ? this.#facets[by] : this.#labels.get(by.label);
    return new Map(Array.from(facet ?? [], ([value, entries]) => [value, entries.size]));
  }

  /** One page of the matching nodes, in order. */
  page(request: PageRequest): NodePage {
    const { filter } = request;
    const facets = this.#facetsOf(filter);
    const narrowest = facets.reduce<Entries>(
      (best, one) => (one.size < best.size ? one : best),
      this.#entries,
    );
    const matches = entryMatcher(filter);
    const exact = isAll(filter) || (facets.length === 1 && Object.keys(filter).length === 1);
    const order = this.#orders.get(request.sort);
    const kept = order?.touched ? undefined : order?.entries;
    if (exact && kept && narrowest.size > SELECTED_DIRECTLY) {
      return walk(kept, request, matches, narrowest.size);
    }
    const found: Entry[] = [];
    narrowest.forEach((entry) => {
      if (matches(entry)) found.push(entry);
    });
    if (kept && found.length > SELECTED_DIRECTLY) return walk(kept, request, matches, found.length);
    return pickedPage(request, found);
  }

  /** For each indexed field of a filter: the entries with one of its values. */
  #facetsOf({ status, kind, location, pool, labels, ids }: Filter): Array<Union> {
    const unions: Union[] = [];
    const add = (facet: Facet | undefined, values: readonly string[]) =>
      unions.push(new Union([...new Set(values)].map((value) => facet?.get(value) ?? new Set())));
    if (status) add(this.#facets.status, status);
    if (kind) add(this.#facets.kind, kind);
    if (location !== undefined) add(this.#facets.location, [location]);
    if (pool !== undefined) add(this.#facets.pool, [pool]);
    for (const [key, value] of Object.entries(labels ?? {})) add(this.#labels.get(key), [value]);
    if (ids) {
      const known = [...new Set(ids)].map((id) => this.#entries.get(id));
      unions.push(new Union([new Set(known.filter((entry) => entry !== undefined))]));
    }
    return unions;
  }

  #addFacets(entry: Entry): void {
    this.#eachPlace(entry.node, (facet, value) => {
      const entries = facet.get(value);
      if (entries) entries.add(entry);
      else facet.set(value, new Set([entry]));
    });
  }

  #dropFacets(entry: Entry): void {
    this.#eachPlace(entry.node, (facet, value) => {
      const entries = facet.get(value);
      if (entries?.delete(entry) && entries.size === 0) facet.delete(value);
    });
    for (const key of Object.keys(entry.node.labels)) {
      if (this.#labels.get(key)?.size === 0) this.#labels.delete(key);
    }
  }

  #eachPlace(node: FleetNode, at: (facet: Facet, value: string) => void): void {
    at(this.#facets.status, node.status);
    if (node.kind !== undefined) at(this.#facets.kind, node.kind);
    if (node.location !== undefined) at(this.#facets.location, node.location);
    for (const pool of node.pools) at(this.#facets.pool, pool);
    for (const [key, value] of Object.entries(node.labels)) at(this.#labelFacet(key), value);
  }

  #labelFacet(key: string): Facet {
    const known = this.#labels.get(key);
    if (known) return known;
    const made: Facet = new Map();
    this.#labels.set(key, made);
    return made;
  }
}

/** Candidate entries. A callback, because iterators cost more than the work on an entry here. */
interface Entries {
  readonly size: number;
  forEach(take: (entry: Entry) => void): void;
}

/** The entries with any of some values of one field; the sets do not overlap, as a node has one value each. */
class Union implements Entries {
  readonly size: number;
  readonly #sets: ReadonlyArray<ReadonlySet<Entry>>;

  constructor(sets: ReadonlyArray<ReadonlySet<Entry>>) {
    this.#sets = sets;
    this.size = sets.reduce((sum, { size }) => sum + size, 0);
  }

  forEach(take: (entry: Entry) => void): void {
    for (const set of this.#sets) set.forEach(take);
  }
}

const isAll = (filter: Filter): boolean =>
  Object.entries(filter).every(([key, value]) => key === 'labels' && Object.keys(value).length === 0);

/**
 * The filter over entries. `q` comes first: an index has applied the rest, and a text is cheaper to reach than a node.
 */
function entryMatcher({ q, ...rest }: Filter): (entry: Entry) => boolean {
  const matches = matcher(rest);
  if (q === undefined) return ({ node }) => matches(node);
  const wanted = foldText(q);
  return (entry) => {
    entry.text ??= searchTextOf(entry.node);
    return entry.text.includes(wanted) && matches(entry.node);
  };
}

/** A page of a kept order: from the end of the previous page until it is full. */
function walk(
  order: SortedEntries<Ordered>,
  { sort, descending, after, limit }: PageRequest,
  matches: (entry: Entry) => boolean,
  total: number,
): NodePage {
  const nodes: FleetNode[] = [];
  for (const { entry } of order.walk(descending, after)) {
    if (!matches(entry)) continue;
    if (nodes.length === limit) return { nodes, total, end: endOf(nodes, sort) };
    nodes.push(entry.node);
  }
  return { nodes, total, end: undefined };
}

/** The first nodes in order, without sorting the ones after these. */
function pickedPage({ sort, descending, after, limit }: PageRequest, found: readonly Entry[]): NodePage {
  const sign = descending ? -1 : 1;
  const compare = (a: OrderKey, b: OrderKey): number => sign * compareKeys(a, b);
  // One more than the page: it shows whether there is another page.
  const wanted = limit + 1;
  let picked: Array<OrderKey & { node: FleetNode }> = [];
  for (const { node } of found) {
    const key = { ...keyOf(node, sort), node };
    if (after && compare(key, after) <= 0) continue;
    const last = picked[wanted - 1];
    if (last && compare(key, last) >= 0) continue;
    picked.push(key);
    if (picked.length === wanted || picked.length === 2 * wanted) {
      picked = picked.sort(compare).slice(0, wanted);
    }
  }
  const nodes = picked
    .sort(compare)
    .slice(0, limit)
    .map(({ node }) => node);
  return { nodes, total: found.length, end: picked.length > limit ? endOf(nodes, sort) : undefined };
}

function endOf(nodes: readonly FleetNode[], sort: NodeSortKey): OrderKey | undefined {
  const last = nodes.at(-1);
  return last && keyOf(last, sort);
}

/** One node in the index. `text`: the text that `q` searches, built on the first search. */
interface Entry {
  node: FleetNode;
  text: string | undefined;
}

interface Order {
  entries: SortedEntries<Ordered>;
  /** While the order is built: the nodes that changed meanwhile. */
  touched: Set<string> | undefined;
}

interface Ordered extends OrderKey {
  entry: Entry;
}

type Facet = Map<string, Set<Entry>>;
