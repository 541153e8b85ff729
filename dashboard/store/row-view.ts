import type { Picture } from '../../client/index.ts';
import { type Filter, filterKey, matcher, type Status } from '../../shared/index.ts';
import { OrderedRows } from './ordered-rows.ts';
import type { Row, RowChange } from './rows.ts';

export const SORT_KEYS = ['status', 'since', 'hostname', 'kind', 'location', 'address', 'hub'] as const;
export type SortKey = (typeof SORT_KEYS)[number];
export interface Sort {
  key: SortKey;
  descending: boolean;
}

/** What needs eyes comes first. */
const SEVERITY: Readonly<Record<Status, number>> = {
  offline: 0,
  unreachable: 1,
  degraded: 2,
  online: 3,
};

const texts: Readonly<Record<Exclude<SortKey, 'status'>, (row: Row) => string | undefined>> = {
  since: (row) => row.statusSince,
  hostname: (row) => row.hostname,
  kind: (row) => row.kind,
  location: (row) => row.location,
  address: (row) => row.address,
  hub: (row) => row.hubId,
};

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Compares rows by a column, then by name, then by id. Rows without a value come last either way. */
export function rowOrder({ key, descending }: Sort): (a: Row, b: Row) => number {
  const sign = descending ? -1 : 1;
  const tie = (a: Row, b: Row): number => byText(a.hostname, b.hostname) || byText(a.id, b.id);
  if (key === 'status') return (a, b) => sign * (SEVERITY[a.status] - SEVERITY[b.status]) || tie(a, b);
  const text = texts[key];
  return (a, b) => {
    const [mine, theirs] = [text(a), text(b)];
    if (mine === theirs) return tie(a, b);
    if (mine === undefined) return 1;
    if (theirs === undefined) return -1;
    return sign * byText(mine, theirs) || tie(a, b);
  };
}

/** The rows that match a filter, in order; both follow each change. Put in order only once it is shown. */
export class RowView {
  #picture: Picture<Row>;
  #key = '';
  #matches: (row: Row) => boolean = () => true;
  #order = rowOrder({ key: 'status', descending: false });
  #rows: OrderedRows<Row> | undefined;

  constructor(picture: Picture<Row>) {
    this.#picture = picture;
  }

  get rows(): OrderedRows<Row> {
    if (!this.#rows) {
      const matching: Row[] = [];
      for (const row of this.#picture.nodes.values()) if (this.#matches(row)) matching.push(row);
      this.#rows = new OrderedRows(this.#order, matching);
    }
    return this.#rows;
  }

  /** Whether a row is among those that are asked for. */
  matches(row: Row): boolean {
    return this.#matches(row);
  }

  /** Shows other rows, or in another order. True where that was news. */
  ask(filter: Filter, sort: Sort): boolean {
    const key = JSON.stringify([filterKey(filter), sort.key, sort.descending]);
    if (key === this.#key) return false;
    this.#key = key;
    this.#matches = matcher(filter);
    this.#order = rowOrder(sort);
    this.#rows = undefined;
    return true;
  }

  /** Another picture takes the place of the one before. */
  reset(picture: Picture<Row>): void {
    this.#picture = picture;
    this.#rows = undefined;
  }

  changed({ before, after }: RowChange): void {
    if (!this.#rows) return;
    if (before && this.#matches(before)) this.#rows.remove(before);
    if (after && this.#matches(after)) this.#rows.insert(after);
  }
}
