import { type Filter, type FleetNode, matcher } from '../../shared/index.ts';
import { compareKeys, type OrderKey, SortedEntries } from './sorted-entries.ts';

/** What a list of nodes can be sorted by. */
export const SORT_KEYS = ['hostname', 'status', 'statusSince', 'createdAt', 'kind', 'location'] as const;
export type SortKey = (typeof SORT_KEYS)[number];

/** Up to so many candidates are sorted on the spot; beyond it the kept order is walked until the page is full. */
const SORT_ON_THE_SPOT = 2_000;

export interface PageRequest {
  filter: Filter;
  sort: SortKey;
  descending: boolean;
  /** Where the page before ended. */
  after?: OrderKey;
  limit: number;
}

export interface NodePage {
  nodes: FleetNode[];
  /** Nodes that match, on all pages. */
  total: number;
  /** Where this page ended, if there is more. */
  end: OrderKey | undefined;
}

/** One node in the index. `text`: what `q` searches in, once somebody did. */
interface Entry {
  node: FleetNode;
  text: string | undefined;
}

interface Ordered extends OrderKey {
  entry: Entry;
}

type Facet = Map<string, Set<Entry>>;

const sortValue = (node: FleetNode, sort: SortKey): string => node[sort] ?? '';

const keyOf = (node: FleetNode, sort: SortKey): OrderKey => ({ value: sortValue(node, sort), id: node.id });

/**
 * What lists need to be quick: the nodes by each value that filters ask for, and in each order that somebody
 * asked for. With 100,000 nodes a filtered page then takes milliseconds, and a change microseconds.
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
  /** Kept from the start: to sort 100,000 nodes when somebody asks would stall the hub for half a second. */
  readonly #orders = new Map(SORT_KEYS.map((sort) => [sort, new SortedEntries<Ordered>()]));

  get size(): number {
    return this.#entries.size;
  }

  put(node: FleetNode): void {
    const entry = this.#entries.get(node.id);
    if (!entry) {
      const made: Entry = { node, text: undefined };
      this.#entries.set(node.id, made);
      this.#addFacets(made);
      for (const [sort, order] of this.#orders) order.insert({ ...keyOf(node, sort), entry: made });
      return;
    }
    const before = entry.node;
    this.#dropFacets(entry);
    entry.node = node;
    entry.text = undefined;
    this.#addFacets(entry);
    for (const [sort, order] of this.#orders) {
      if (sortValue(before, sort) === sortValue(node, sort)) continue;
      order.delete(keyOf(before, sort));
      order.insert({ ...keyOf(node, sort), entry });
    }
  }

  delete(id: string): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    this.#entries.delete(id);
    this.#dropFacets(entry);
    for (const [sort, order] of this.#orders) order.delete(keyOf(entry.node, sort));
  }

  /** How many nodes have each value; a node without one is not counted. */
  counts(by: 'status' | 'kind' | 'location' | { label: string }): Map<string, number> {
    const facet = typeof by === 'string' ? this.#facets[by] : this.#labels.get(by.label);
    return new Map(Array.from(facet ?? [], ([value, entries]) => [value, entries.size]));
  }

  /** One page of the nodes that match, in order. */
  page(request: PageRequest): NodePage {
    const { filter } = request;
    const facets = this.#facetsOf(filter);
    const narrowest = facets.reduce<Entries>(
      (best, one) => (one.size < best.size ? one : best),
      this.#entries,
    );
    const matches = entryMatcher(filter);
    const exact = isAll(filter) || (facets.length === 1 && Object.keys(filter).length === 1);
    if (exact && narrowest.size > SORT_ON_THE_SPOT) {
      return this.#walk(request, matches, narrowest.size);
    }
    const found: Entry[] = [];
    narrowest.forEach((entry) => {
      if (matches(entry)) found.push(entry);
    });
    if (found.length > SORT_ON_THE_SPOT) return this.#walk(request, matches, found.length);
    return sortedPage(request, found);
  }

  #walk(request: PageRequest, matches: (entry: Entry) => boolean, total: number): NodePage {
    const nodes: FleetNode[] = [];
    const order = this.#orders.get(request.sort);
    for (const { entry } of order?.walk(request.descending, request.after) ?? []) {
      if (!matches(entry)) continue;
      if (nodes.length === request.limit) return { nodes, total, end: endOf(nodes, request.sort) };
      nodes.push(entry.node);
    }
    return { nodes, total, end: undefined };
  }

  /** For each field of a filter that is indexed: the entries that have one of its values. */
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
    for (const [facet, value] of this.#placesOf(entry.node)) {
      const entries = facet.get(value);
      if (entries) entries.add(entry);
      else facet.set(value, new Set([entry]));
    }
  }

  #dropFacets(entry: Entry): void {
    for (const [facet, value] of this.#placesOf(entry.node)) {
      const entries = facet.get(value);
      if (entries?.delete(entry) && entries.size === 0) facet.delete(value);
    }
    for (const key of Object.keys(entry.node.labels)) {
      if (this.#labels.get(key)?.size === 0) this.#labels.delete(key);
    }
  }

  *#placesOf(node: FleetNode): IterableIterator<[Facet, string]> {
    yield [this.#facets.status, node.status];
    if (node.kind !== undefined) yield [this.#facets.kind, node.kind];
    if (node.location !== undefined) yield [this.#facets.location, node.location];
    for (const pool of node.pools) yield [this.#facets.pool, pool];
    for (const [key, value] of Object.entries(node.labels)) yield [this.#labelFacet(key), value];
  }

  #labelFacet(key: string): Facet {
    const known = this.#labels.get(key);
    if (known) return known;
    const made: Facet = new Map();
    this.#labels.set(key, made);
    return made;
  }
}

/** Entries to choose from. A callback, because iterators cost more than what is done with an entry here. */
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

/** The filter over entries. `q` looks into a text that is made once a node, not once a request. */
function entryMatcher({ q, ...rest }: Filter): (entry: Entry) => boolean {
  const matches = matcher(rest);
  if (q === undefined) return ({ node }) => matches(node);
  const wanted = q.toLowerCase();
  return (entry) => {
    if (!matches(entry.node)) return false;
    const { hostname, id, address } = entry.node;
    // Control characters are not allowed in any of them, so a match never spans two.
    entry.text ??= `${hostname}\n${id}\n${address ?? ''}`.toLowerCase();
    return entry.text.includes(wanted);
  };
}

function sortedPage({ sort, descending, after, limit }: PageRequest, found: Entry[]): NodePage {
  const sign = descending ? -1 : 1;
  const keyed = found
    .map(({ node }) => ({ ...keyOf(node, sort), node }))
    .sort((a, b) => sign * compareKeys(a, b));
  const from = after ? keyed.findIndex((key) => sign * compareKeys(key, after) > 0) : 0;
  const nodes = from < 0 ? [] : keyed.slice(from, from + limit).map(({ node }) => node);
  const more = from >= 0 && from + nodes.length < keyed.length;
  return { nodes, total: found.length, end: more ? endOf(nodes, sort) : undefined };
}

function endOf(nodes: readonly FleetNode[], sort: SortKey): OrderKey | undefined {
  const last = nodes.at(-1);
  return last && keyOf(last, sort);
}
