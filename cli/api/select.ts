import { z } from 'zod';
import {
  CLIENT_LIMITS,
  type Filter,
  filterQuery,
  LIMITS,
  NODE_SORT_KEYS,
  nodeSchema,
  noneOf,
} from '../../shared/index.ts';
import { UsageError } from '../usage-error.ts';
import type { ApiClient } from './api-client.ts';
import { CommandFailure, EXIT } from './failure.ts';
import { keptBudget } from './read-answer.ts';

/** Nodes that are asked for at once. */
const PAGE = 1_000;
/** How long a whole list may take. */
const LIST_WITHIN_MS = 5 * 60_000;

const rowSchema = z.looseObject({
  ...nodeSchema.partial().shape,
  id: nodeSchema.shape.id,
  hubId: z.string().exactOptional(),
  lastHeartbeatAt: z.string().nullable().exactOptional(),
});
const pageSchema = z.looseObject({
  nodes: z.array(rowSchema),
  total: z.number(),
  nextCursor: z.string().max(LIMITS.cursorLength).nullable(),
});
/** A node in a list. */
export type Row = z.output<typeof rowSchema>;

/** An order of a list. Throws `UsageError`. */
export function readSort(text: string | undefined): string | undefined {
  const key = text?.replace(/^-/, '');
  if (text === undefined || NODE_SORT_KEYS.some((one) => one === key)) return text;
  throw new UsageError(`--sort: ${noneOf(key, NODE_SORT_KEYS)} (- before it for descending)`);
}

/** What a list is asked for with. */
export interface ListFlags {
  sort?: string;
  limit?: string;
}

/** A filter as a query string. */
export const queryOf = (filter: Filter): URLSearchParams => new URLSearchParams(filterQuery(filter));

/** All nodes that match, page after page. Throws a `CommandFailure`. */
export async function selectNodes(
  api: ApiClient,
  filter: Filter,
  { sort, limit }: ListFlags = {},
  fields: readonly string[] = ['hostname', 'status'],
): Promise<Row[]> {
  const most = readCount('--limit', limit) ?? Number.POSITIVE_INFINITY;
  const rows: Row[] = [];
  const budget = keptBudget();
  const deadline = performance.now() + LIST_WITHIN_MS;
  let shown = fields.join(',');
  for (let cursor: string | null | undefined; cursor !== null && rows.length < most; ) {
    const query = queryOf(filter);
    if (sort !== undefined) query.set('sort', sort);
    query.set('limit', String(Math.min(PAGE, most - rows.length)));
    if (cursor !== undefined) query.set('cursor', cursor);
    const ask = (as: string) => api.get(`/api/v1/nodes?${query}&fields=${as}`, pageSchema, budget);
    const page = await ask(shown).catch((error: unknown) => {
      if (!(error instanceof CommandFailure) || error.path !== 'fields' || shown === 'summary') throw error;
      // A hub of version 0.1 knows no other lists of fields than these.
      shown = 'summary';
      return ask(shown);
    });
    for (const node of page.nodes) rows.push(node);
    if (page.nextCursor !== null && !(goesOn(page, cursor) && performance.now() < deadline)) throw endless();
    if (rows.length > CLIENT_LIMITS.keptNodes) throw endless();
    cursor = page.nextCursor;
  }
  return rows;
}

/** A page that brings nothing, or leads to itself, would go on for ever. */
const goesOn = ({ nodes, nextCursor }: z.output<typeof pageSchema>, cursor: string | undefined): boolean =>
  nodes.length > 0 && nextCursor !== cursor;

const endless = (): CommandFailure =>
  new CommandFailure(EXIT.unreachable, 'the list of the hub does not come to an end; ask another hub');

/** A flag that counts. Throws a `CommandFailure`. */
export function readCount(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new CommandFailure(EXIT.usage, `${flag} is a whole number from 1`);
}
