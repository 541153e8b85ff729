import { z } from 'zod';
import { foldText, hostnameSearchText } from './hostname.ts';
import { boundedJson } from './json.ts';
import { LIMITS } from './limits.ts';
import { type FleetNode, idSchema, labelKeySchema, statusSchema, textSchema } from './node.ts';

const valueSchema = textSchema(LIMITS.nameLength).min(1);

/**
 * Which nodes a client wants: every field that is given must match, a list matches any of its values. A field
 * that is not known is refused, because a filter with a typing error would otherwise show the whole fleet.
 */
export const filterSchema = boundedJson(
  z.strictObject({
    status: z.array(statusSchema).max(LIMITS.filterValues).exactOptional(),
    kind: z.array(valueSchema).max(LIMITS.filterValues).exactOptional(),
    location: valueSchema.exactOptional(),
    labels: z
      .record(labelKeySchema, textSchema(LIMITS.nameLength))
      .refine(
        (labels) => Object.keys(labels).length <= LIMITS.labels,
        `has more than ${LIMITS.labels} labels`,
      )
      .exactOptional(),
    pool: valueSchema.exactOptional(),
    ids: z.array(idSchema).max(LIMITS.watchedIds).exactOptional(),
    /** Part of hostname, id or address; neither case nor spelling matters (`bücher` finds `xn--bcher-kva`). */
    q: valueSchema.exactOptional(),
  }),
  LIMITS.filterBytes,
);
export type Filter = z.output<typeof filterSchema>;

/** What a list of nodes can be sorted by; `-` before it for descending. */
export const NODE_SORT_KEYS = ['hostname', 'status', 'statusSince', 'createdAt', 'kind', 'location'] as const;
export type NodeSortKey = (typeof NODE_SORT_KEYS)[number];

/** What a filter looks at: whole nodes and the rows of a list have it. */
export type Filterable = Pick<
  FleetNode,
  'id' | 'hostname' | 'kind' | 'location' | 'labels' | 'pools' | 'address' | 'status'
>;

/** Compiles a filter to a predicate over nodes. */
export function matcher(filter: Filter): (node: Filterable) => boolean {
  const status = filter.status && new Set<string>(filter.status);
  const kind = filter.kind && new Set<string | undefined>(filter.kind);
  const ids = filter.ids && new Set(filter.ids);
  const labels = Object.entries(filter.labels ?? {});
  const q = filter.q === undefined ? undefined : foldText(filter.q);
  const { location, pool } = filter;
  return (node) =>
    (!status || status.has(node.status)) &&
    (!kind || kind.has(node.kind)) &&
    (!ids || ids.has(node.id)) &&
    (location === undefined || node.location === location) &&
    (pool === undefined || node.pools.includes(pool)) &&
    labels.every(([key, value]) => Object.hasOwn(node.labels, key) && node.labels[key] === value) &&
    (q === undefined || searchTextOf(node).includes(q));
}

/** What `q` looks into. No control characters are allowed in any of it, so a match never spans two. */
export const searchTextOf = ({
  hostname,
  id,
  address,
}: Pick<Filterable, 'hostname' | 'id' | 'address'>): string =>
  `${hostnameSearchText(hostname)}\n${id.toLowerCase()}\n${address === undefined ? '' : foldText(address)}`;

const sorted = (values: readonly string[]): string[] => [...new Set(values)].sort();

/** One text for all filters that mean the same, whatever the order of their fields and values. */
export function filterKey(filter: Filter): string {
  return JSON.stringify([
    filter.status && sorted(filter.status),
    filter.kind && sorted(filter.kind),
    filter.location,
    filter.labels && Object.entries(filter.labels).sort(([a], [b]) => (a < b ? -1 : 1)),
    filter.pool,
    filter.ids && sorted(filter.ids),
    filter.q && foldText(filter.q),
  ]);
}

/** Values of these lists never hold a comma, so that each one separates, encoded or not. */
const commaFreeKeys: ReadonlySet<string> = new Set(['status', 'ids']);

/**
 * The pairs of a query string as it was sent, where lists of texts are repeated keys or commas: a plain comma
 * separates two values, an encoded one (`%2C`) belongs to its value.
 */
export function queryPairs(raw: string): Array<[string, string]> {
  const pairs: Array<[string, string]> = [];
  for (const part of raw.replace(/^\?/, '').split('&')) {
    const [key, ...values] = part.startsWith('kind=') ? part.slice('kind='.length).split(',') : [];
    const texts = key === undefined ? [part] : [key, ...values].map((value) => `kind=${value}`);
    for (const text of texts) pairs.push(...new URLSearchParams(text));
  }
  return pairs;
}

/**
 * A filter from the pairs of a query: `status=online&status=offline&kind=gpu&label=zone=a&label=rack=b&q=web`. The case
 * of a status does not matter; a label without `=` is wrong. Returns what `filterSchema` is then asked to accept; it refuses what may be
 * given once and came twice, because one of the two would be ignored.
 */
export function filterFromQuery(query: Iterable<[string, string]>): Record<string, unknown> {
  const fields = new Map<string, string | string[]>();
  const labels = new Map<string, string | string[] | null>();
  for (const [key, value] of query) {
    if (key === 'label') {
      const at = value.indexOf('=');
      if (at < 0) labels.set(value, null);
      else addTo(labels, value.slice(0, at), value.slice(at + 1));
    } else if (commaFreeKeys.has(key)) {
      const values = (key === 'status' ? value.toLowerCase() : value).split(',');
      fields.set(key, [fields.get(key) ?? [], values].flat());
    } else if (key === 'kind') {
      fields.set(key, [fields.get(key) ?? [], value].flat());
    } else {
      addTo(fields, key, value);
    }
  }
  return { ...Object.fromEntries(fields), ...(labels.size > 0 && { labels: Object.fromEntries(labels) }) };
}

/** The pairs of a filter's query, one for each value: what `filterFromQuery` reads back. */
export function filterQuery(filter: Filter): Array<[string, string]> {
  const { status = [], kind = [], location, labels = {}, pool, ids = [], q } = filter;
  const single = { location, pool, q };
  return [
    ...status.map((value): [string, string] => ['status', value]),
    ...kind.map((value): [string, string] => ['kind', value]),
    ...Object.entries(labels).map(([key, value]): [string, string] => ['label', `${key}=${value}`]),
    ...ids.map((value): [string, string] => ['ids', value]),
    ...Object.entries(single).flatMap(
      ([key, value]): Array<[string, string]> => (value === undefined ? [] : [[key, value]]),
    ),
  ];
}

/** Whether a filter lets everything through. */
export const isEmptyFilter = (filter: Filter): boolean => filterQuery(filter).length === 0;

function addTo(entries: Map<string, string | string[] | null>, key: string, value: string): void {
  const before = entries.get(key);
  entries.set(key, before === undefined || before === null ? value : [before, value].flat());
}
