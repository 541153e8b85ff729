import type { Picture } from '../../client/index.ts';
import { STATUSES, type Status } from '../../shared/index.ts';
import { type Facet, facetValue } from './facets.ts';
import type { Row, RowChange } from './rows.ts';

/** The nodes that share a value of the facet, each at a place of its own that it keeps. */
export interface Group {
  /** Undefined: the nodes that have no value. */
  readonly value: string | undefined;
  /** Ids by place; a place whose node went is empty until the next one comes. */
  readonly places: Array<string | undefined>;
  readonly counts: Record<Status, number>;
}

export interface Place {
  group: Group;
  index: number;
}

/** More groups than this are a list, not a map. */
export const MOST_GROUPS = 400;

const natural = new Intl.Collator('en', { numeric: true });

/**
 * The nodes of a picture in groups, for the map: a node keeps its place for as long as it stays in its group,
 * so that a change of status moves nothing. Made only once it is shown.
 */
export class Grouping {
  #picture: Picture<Row>;
  #facet: Facet | undefined;
  #made: { groups: Map<string | undefined, Group>; places: Map<string, Place>; free: Map<Group, number[]> } =
    this.#nothing();
  #stale = true;
  /** Grows when a group came, went or got more places: when everything has to be laid out again. */
  #shape = 0;

  constructor(picture: Picture<Row>) {
    this.#picture = picture;
  }

  get shape(): number {
    this.#make();
    return this.#shape;
  }

  get facet(): Facet | undefined {
    return this.#facet;
  }

  /** The groups in the order of their names; those without a value last. */
  get groups(): Group[] {
    this.#make();
    return [...this.#made.groups.values()].sort((a, b) =>
      a.value === undefined ? 1 : b.value === undefined ? -1 : natural.compare(a.value, b.value),
    );
  }

  placeOf(id: string): Place | undefined {
    this.#make();
    return this.#made.places.get(id);
  }

  /** Groups by another facet; undefined: all in one. */
  ask(facet: Facet | undefined): void {
    if (facet === this.#facet) return;
    this.#facet = facet;
    this.#stale = true;
  }

  reset(picture: Picture<Row>): void {
    this.#picture = picture;
    this.#stale = true;
  }

  changed({ before, after }: RowChange): void {
    if (this.#stale) return;
    if (before && after && this.#valueOf(before) === this.#valueOf(after)) {
      const place = this.#made.places.get(after.id);
      if (place) {
        place.group.counts[before.status] -= 1;
        place.group.counts[after.status] += 1;
      }
      return;
    }
    if (before) this.#takeOut(before);
    if (after) this.#putIn(after);
  }

  #nothing() {
    return {
      groups: new Map<string | undefined, Group>(),
      places: new Map<string, Place>(),
      free: new Map<Group, number[]>(),
    };
  }

  #make(): void {
    if (!this.#stale) return;
    this.#stale = false;
    this.#shape += 1;
    this.#made = this.#nothing();
    const named = Array.from(this.#picture.nodes.values(), (row) => ({ row, ...numbered(row.hostname) }));
    named.sort((a, b) => (a.stem < b.stem ? -1 : a.stem > b.stem ? 1 : a.number - b.number));
    for (const { row } of named) this.#putIn(row);
  }

  #valueOf(row: Row): string | undefined {
    return this.#facet && facetValue(row, this.#facet);
  }

  #putIn(row: Row): void {
    const value = this.#valueOf(row);
    let group = this.#made.groups.get(value);
    if (!group) {
      group = { value, places: [], counts: { online: 0, degraded: 0, unreachable: 0, offline: 0 } };
      this.#made.groups.set(value, group);
    }
    const free = this.#made.free.get(group)?.pop();
    const index = free ?? group.places.length;
    if (free === undefined) this.#shape += 1;
    group.places[index] = row.id;
    group.counts[row.status] += 1;
    this.#made.places.set(row.id, { group, index });
  }

  #takeOut(row: Row): void {
    const place = this.#made.places.get(row.id);
    if (!place) return;
    const { group, index } = place;
    this.#made.places.delete(row.id);
    group.places[index] = undefined;
    group.counts[row.status] -= 1;
    const free = this.#made.free.get(group) ?? [];
    this.#made.free.set(group, free);
    free.push(index);
    if (STATUSES.every((status) => group.counts[status] === 0)) {
      this.#made.groups.delete(group.value);
      this.#made.free.delete(group);
      this.#shape += 1;
    }
  }
}

/** A name and the number at its end, so that node-9 stands before node-10; a collator takes half a second for it. */
function numbered(name: string): { stem: string; number: number } {
  const digits = /\d+$/.exec(name)?.[0] ?? '';
  return { stem: name.slice(0, name.length - digits.length), number: Number(digits) };
}
