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

const listKeys: ReadonlySet<string> = new Set(['status', 'kind', 'ids']);

/**
 * A filter from a query string: `status=online&status=offline&kind=gpu&label=zone=a&label=rack=b&q=web`.
 * Lists are repeated keys or commas. Returns what `filterSchema` is then asked to accept; it refuses what may be
 * given once and came twice, because one of the two would be ignored.
 */
export function filterFromQuery(query: Iterable<[string, string]>): Record<string, unknown> {
  const fields = new Map<string, string | string[]>();
  const labels = new Map<string, string | string[]>();
  for (const [key, value] of query) {
    if (key === 'label') {
      const at = value.indexOf('=');
      addTo(labels, at < 0 ? value : value.slice(0, at), at < 0 ? '' : value.slice(at + 1));
    } else if (listKeys.has(key)) {
      fields.set(key, [fields.get(key) ?? [], value.split(',')].flat());
    } else {
      addTo(fields, key, value);
    }
  }
  return { ...Object.fromEntries(fields), ...(labels.size > 0 && { labels: Object.fromEntries(labels) }) };
}

function addTo(entries: Map<string, string | string[]>, key: string, value: string): void {
  const before = entries.get(key);
  entries.set(key, before === undefined ? value : [before, value].flat());
}
