import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import {
  type FleetNode,
  filterFromQuery,
  filterSchema,
  idSchema,
  type LiveStats,
} from '../../shared/index.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { problem } from './problem.ts';

const limitSchema = z
  .string()
  .regex(/^\d{1,4}$/)
  .transform(Number)
  .pipe(z.number().min(1).max(1_000));
const DEFAULT_LIMIT = '100';
const cursorSchema = z.tuple([z.string(), z.string()]);

/** Where a page ended: the sort key of its last node, so that it stays right while nodes come and go. */
type PageCursor = z.output<typeof cursorSchema>;

const keyOf = ({ hostname, id }: FleetNode): PageCursor => [hostname, id];

const compareKeys = (a: PageCursor, b: PageCursor): number =>
  a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0;

const encodeCursor = (key: PageCursor): string => Buffer.from(JSON.stringify(key)).toString('base64url');

function decodeCursor(text: string): PageCursor | undefined {
  try {
    const parsed = cursorSchema.safeParse(JSON.parse(Buffer.from(text, 'base64url').toString()));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** `GET /api/v1/nodes` and `GET /api/v1/nodes/:id`, answered from the view. */
export function nodeRoutes(app: FastifyInstance, fleet: Fleet): void {
  app.get('/api/v1/nodes', (request, reply) => {
    if (!fleet.view.loaded) return problem(reply, 503, 'not_ready', 'the hub is still loading its view');
    const query = new URL(request.url, 'http://hub').searchParams;
    const limits = query.getAll('limit');
    const limit = limitSchema.safeParse(limits[0] ?? DEFAULT_LIMIT);
    if (!limit.success || limits.length > 1)
      return problem(reply, 400, 'invalid', 'limit is a whole number from 1 to 1000', 'limit');
    const cursorText = query.get('cursor');
    const after = cursorText === null ? undefined : decodeCursor(cursorText);
    if (cursorText !== null && !after)
      return problem(reply, 400, 'invalid', 'this is no cursor of ours', 'cursor');
    query.delete('limit');
    query.delete('cursor');
    const filter = filterSchema.safeParse(filterFromQuery(query));
    if (!filter.success) {
      const issue = filter.error.issues[0];
      const path = issue?.path.join('.') ?? '';
      return problem(
        reply,
        400,
        'invalid',
        `${path ? `${path}: ` : ''}${issue?.message ?? 'wrong filter'}`,
        path,
      );
    }
    const matching = fleet.view.select(filter.data).sort((a, b) => compareKeys(keyOf(a), keyOf(b)));
    const from = after ? matching.findIndex((node) => compareKeys(keyOf(node), after) > 0) : 0;
    const nodes = from < 0 ? [] : matching.slice(from, from + limit.data);
    const last = nodes.at(-1);
    const more = last !== undefined && from + nodes.length < matching.length;
    return reply.send({
      nodes,
      count: nodes.length,
      total: matching.length,
      nextCursor: more ? encodeCursor(keyOf(last)) : null,
    });
  });

  app.get<{ Params: { id: string } }>('/api/v1/nodes/:id', async (request, reply) => {
    const id = idSchema.safeParse(request.params.id);
    const node = id.success ? await fleet.node(id.data) : undefined;
    if (!node) return problem(reply, 404, 'not_found', `there is no node ${request.params.id.slice(0, 253)}`);
    const stats = await liveStats(fleet, node);
    return reply.send({ ...node, ...(stats && { stats }) });
  });
}

/** Live figures are a courtesy here: a store out of reach must not hide the node itself. */
async function liveStats(fleet: Fleet, node: FleetNode): Promise<LiveStats | undefined> {
  try {
    return (await fleet.stats([node])).get(node.id);
  } catch {
    return undefined;
  }
}
