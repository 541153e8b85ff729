import type { Command } from 'commander';
import { z } from 'zod';
import { CLIENT_LIMITS, LIMITS, nodeSummarySchema, STATUSES } from '../../shared/index.ts';
import type { ApiClient } from './api-client.ts';
import { CommandFailure, EXIT } from './failure.ts';
import type { FormatFlags } from './print.ts';
import { keptBudget } from './read-answer.ts';

/** Nodes that are asked for at once. */
const PAGE = 1_000;
/** How long a whole list may take. */
const LIST_WITHIN_MS = 5 * 60_000;

const pageSchema = z.looseObject({
  nodes: z.array(z.looseObject(nodeSummarySchema.shape)),
  total: z.number(),
  nextCursor: z.string().max(LIMITS.cursorLength).nullable(),
});
/** A node in a list. */
export type Row = z.output<typeof pageSchema>['nodes'][number];

/** Flags that choose nodes, as commander makes them. */
export interface Selectors extends FormatFlags {
  hub?: string;
  status?: string[];
  kind?: string[];
  label?: string[];
  location?: string;
  pool?: string;
  q?: string;
  sort?: string;
  limit?: string;
}

/** For a flag that may be repeated. */
export const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

/** The flags that choose nodes, for whoever needs them. */
export function withSelectors(command: Command): Command {
  return command
    .option('--status <status>', `${STATUSES.join(', ')}; repeat it for several`, collect)
    .option('--kind <kind>', 'repeat it for several', collect)
    .option('-l, --label <key=value>', 'a label that must match; repeat it for several', collect)
    .option('--location <place>')
    .option('--pool <pool>')
    .option('-q, --q <text>', 'part of the hostname, id or address');
}

/** The selectors as a query string. */
export function queryOf(selectors: Selectors): URLSearchParams {
  const query = new URLSearchParams();
  const { status = [], kind = [], label = [], location, pool, q, sort } = selectors;
  for (const value of status) query.append('status', value);
  for (const value of kind) query.append('kind', value);
  for (const value of label) query.append('label', value);
  for (const [key, value] of Object.entries({ location, pool, q, sort })) {
    if (value !== undefined) query.append(key, value);
  }
  return query;
}

/** All nodes that match, page after page. Throws a `CommandFailure`. */
export async function selectNodes(api: ApiClient, selectors: Selectors): Promise<Row[]> {
  const most = selectors.limit === undefined ? Number.POSITIVE_INFINITY : Number(selectors.limit);
  if (!(most >= 1)) throw new CommandFailure(EXIT.usage, '--limit is a whole number from 1');
  const rows: Row[] = [];
  const budget = keptBudget();
  const deadline = performance.now() + LIST_WITHIN_MS;
  for (let cursor: string | null | undefined; cursor !== null && rows.length < most; ) {
    const query = queryOf(selectors);
    query.set('fields', 'summary');
    query.set('limit', String(Math.min(PAGE, most - rows.length)));
    if (cursor !== undefined) query.set('cursor', cursor);
    const page = await api.get(`/api/v1/nodes?${query}`, pageSchema, budget);
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
