import type { Filter } from '../shared/index.ts';
import { type Facet, labelOf } from './store/facets.ts';

/** The filter that shows one group alone. */
export function filterOfGroup(filter: Filter, facet: Facet | undefined, value: string): Filter {
  const key = facet && labelOf(facet);
  if (key !== undefined) return { ...filter, labels: { ...filter.labels, [key]: value } };
  if (facet === 'kind') return { ...filter, kind: [value] };
  if (facet === 'location' || facet === 'pool') return { ...filter, [facet]: value };
  return filter;
}

/** Whether a filter asks for this value. */
export function isChosen(filter: Filter, facet: Facet, value: string): boolean {
  const key = labelOf(facet);
  if (key !== undefined) return filter.labels?.[key] === value;
  if (facet === 'kind') return filter.kind?.includes(value) ?? false;
  if (facet === 'location') return filter.location === value;
  return filter.pool === value;
}

/** The filter with this value where it was without, and without it where it was with. */
export function toggled(filter: Filter, facet: Facet, value: string): Filter {
  if (facet === 'kind') {
    const { kind = [], ...rest } = filter;
    const next = kind.includes(value) ? kind.filter((one) => one !== value) : [...kind, value];
    return next.length === 0 ? rest : { ...rest, kind: next };
  }
  if (!isChosen(filter, facet, value)) return filterOfGroup(filter, facet, value);
  return withoutFacet(filter, facet);
}

/** The filter without what it asks of a facet. */
export function withoutFacet(filter: Filter, facet: Facet): Filter {
  const { kind, location, pool, labels = {}, ...rest } = filter;
  const key = labelOf(facet);
  const left = Object.fromEntries(Object.entries(labels).filter(([name]) => name !== key));
  return {
    ...rest,
    ...(kind && facet !== 'kind' && { kind }),
    ...(location !== undefined && facet !== 'location' && { location }),
    ...(pool !== undefined && facet !== 'pool' && { pool }),
    ...(Object.keys(left).length > 0 && { labels: left }),
  };
}
