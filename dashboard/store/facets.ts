import type { Row } from './rows.ts';

/** Something that nodes can be grouped by: `kind`, `location`, `pool`, or `label:<key>`. */
export type Facet = 'kind' | 'location' | 'pool' | `label:${string}`;

/** The label key of a facet, where it is one. */
export function labelOf(facet: Facet): string | undefined {
  return facet.startsWith('label:') ? facet.slice('label:'.length) : undefined;
}

/** A facet's name for people: a label goes by its key. */
export const facetName = (facet: Facet): string => labelOf(facet) ?? facet;

/** What a row has of a facet; undefined where it has nothing. Of several pools, the first. */
export function facetValue(row: Row, facet: Facet): string | undefined {
  if (facet === 'kind') return row.kind;
  if (facet === 'location') return row.location;
  if (facet === 'pool') return row.pools[0];
  const key = labelOf(facet);
  return key !== undefined && Object.hasOwn(row.labels, key) ? row.labels[key] : undefined;
}

/** Every facet and value that a row has. */
export function* facetsOf(row: Row): Generator<[Facet, string]> {
  for (const key in row.labels) yield [`label:${key}`, row.labels[key] ?? ''];
  if (row.location !== undefined) yield ['location', row.location];
  if (row.kind !== undefined) yield ['kind', row.kind];
  if (row.pools[0] !== undefined) yield ['pool', row.pools[0]];
}

/** How many nodes have which value of which facet, kept with each change. */
export class FacetCounts {
  readonly #counts = new Map<Facet, Map<string, number>>();

  add(row: Row, by: 1 | -1): void {
    for (const [facet, value] of facetsOf(row)) this.#count(facet, value, by);
  }

  /** The values of a facet with the number of nodes that have them. */
  values(facet: Facet): ReadonlyMap<string, number> {
    return this.#counts.get(facet) ?? new Map();
  }

  /** The facets that any node has. */
  get all(): Facet[] {
    return [...this.#counts.keys()];
  }

  #count(facet: Facet, value: string, by: 1 | -1): void {
    let values = this.#counts.get(facet);
    if (!values) {
      values = new Map();
      this.#counts.set(facet, values);
    }
    const count = (values.get(value) ?? 0) + by;
    if (count > 0) values.set(value, count);
    else values.delete(value);
    if (values.size === 0) this.#counts.delete(facet);
  }
}

/** A value as people say it: `zone a`, but `rack-a1`, which says by itself that it is a rack. */
export function facetWords(facet: Facet, value: string): string {
  const name = facetName(facet);
  return value.toLowerCase().startsWith(name.toLowerCase()) || facet === 'kind' ? value : `${name} ${value}`;
}
