import { type Facet, facetName, labelOf } from '../store/facets.ts';
import type { FleetStore } from '../store/fleet-store.ts';
import { MOST_GROUPS } from '../store/grouping.ts';
import type { ChangeUrl } from '../use-page-url.ts';
import { useStore } from '../use-store.ts';

/** What the map can be grouped by: what some node has, and what does not fall into too many parts. */
function facetsToGroupBy({ counts: { facets } }: Pick<FleetStore, 'counts'>): Facet[] {
  const usable = facets.all.filter((facet) => facets.values(facet).size <= MOST_GROUPS);
  const rank = (facet: Facet): number => (labelOf(facet) === undefined ? 1 : 0);
  return usable.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/** The best grouping that there is: by zone, else by kind, else by location. */
export function bestFacet(store: Pick<FleetStore, 'counts'>): Facet | undefined {
  const there = new Set(facetsToGroupBy(store));
  const wanted: readonly Facet[] = ['label:zone', 'kind', 'location'];
  return wanted.find((facet) => there.has(facet));
}

/** Chooses what the map is grouped by. */
export function GroupPicker({ change }: { change: ChangeUrl; version: number }) {
  const store = useStore();
  const current = store.grouping.facet;
  // What groups is offered, also where no node has it, as a link may ask for.
  const usable = facetsToGroupBy(store);
  const facets = current === undefined || usable.includes(current) ? usable : [current, ...usable];
  return (
    <label className="picker">
      <span>Group by</span>
      <select
        value={current ?? 'none'}
        onChange={({ target }) => {
          const facet = facets.find((one) => one === target.value);
          change({ group: facet ?? 'none' });
        }}
      >
        {facets.map((facet) => (
          <option key={facet} value={facet}>
            {facetName(facet)}
          </option>
        ))}
        <option value="none">nothing</option>
      </select>
    </label>
  );
}
