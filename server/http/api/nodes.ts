import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import {
  type FleetNode,
  filterFromQuery,
  filterSchema,
  idSchema,
  type LiveStats,
  NODE_SORT_KEYS,
  type NodeSortKey,
  summarize,
} from '../../../shared/index.ts';
import type { Access } from '../../edge/access.ts';
import type { FleetReader, HttpFleet } from '../../fleet/ports.ts';
import { keyOf } from '../../picture/node-index.ts';
import type { OrderKey } from '../../picture/sorted-entries.ts';
import { exampleNode, exampleStats, exampleSummary } from '../docs/examples.ts';
import { callerOf } from '../guard.ts';
import { listText, sendLong } from '../long-answer.ts';
import { describe } from '../operation.ts';
import { Problem, unwrittenProblem } from '../problem.ts';
import { queryOf, read } from '../read.ts';
import {
  fieldsSchema,
  limitSchema,
  nodeAnswerSchema,
  nodeParamsSchema,
  nodesAnswerSchema,
  nodesQuerySchema,
  removalQuerySchema,
  removedAnswerSchema,
  sortSchema,
} from './schemas.ts';

/** The end of a page: the order, then value and id of its last node, so that it stays valid while nodes come and go. */
const cursorSchema = z.tuple([sortSchema, z.string(), z.string()]);

/** The list's own parameters; the rest of a query is a filter. */
const OWN_PARAMETERS = ['sort', 'limit', 'fields', 'cursor'] as const;

/** A page ends with the node that reaches this, whatever its limit. */
const PAGE_BYTES = 1024 * 1024;

interface Order {
  sort: NodeSortKey;
  descending: boolean;
  name: z.output<typeof sortSchema>;
}

function orderOf(text: string | null): Order {
  const name = read(z.object({ sort: sortSchema.default('hostname') }), { sort: text ?? undefined }).sort;
  const sort = NODE_SORT_KEYS.find((key) => key === name || `-${key}` === name) ?? 'hostname';
  return { sort, descending: name.startsWith('-'), name };
}

const encodeCursor = ({ name }: Order, { value, id }: OrderKey): string =>
  Buffer.from(JSON.stringify([name, value, id])).toString('base64url');

function decodeCursor(order: Order, text: string): OrderKey {
  try {
    const [name, value, id] = cursorSchema.parse(JSON.parse(Buffer.from(text, 'base64url').toString()));
    if (name === order.name) return { value, id };
  } catch {}
  throw new Problem('invalid', 'cursor: is not one of this list and order', 'cursor');
}

/** The texts of the first items up to about this many bytes together; at least one. */
function* within<T>(bytes: number, items: readonly T[], textOf: (item: T) => string): Generator<string> {
  let left = bytes;
  for (const item of items) {
    if (left <= 0) return;
    const text = textOf(item);
    left -= Buffer.byteLength(text);
    yield text;
  }
}

/** Parses the filter that remains in a query without the list's own parameters. */
function readFilter(query: URLSearchParams) {
  const wrong = query.getAll('label').find((label) => !label.includes('='));
  if (wrong !== undefined)
    throw new Problem('invalid', `label: ${JSON.stringify(wrong.slice(0, 64))} is not key=value`, 'label');
  return read(filterSchema, filterFromQuery(query));
}

/** A list can only be answered from a complete view. Throws a `Problem`. */
export function requireView({ view }: FleetReader): void {
  if (!view.loaded) throw new Problem('not_ready', 'the hub is still loading its view');
}

/** `GET /api/v1/nodes`, `GET` and `DELETE /api/v1/nodes/:id`: lists from the view, a single node with its live figures. */
export function nodeRoutes(app: FastifyInstance, fleet: HttpFleet, access: Access): void {
  app.get(
    '/api/v1/nodes',
    describe({
      id: 'listNodes',
      summary: 'List nodes',
      description:
        'Answered from memory. A page ends at about 1 MiB, also below its limit; `nextCursor` goes on. Every filter that is given must match; a list matches any of its values.',
      tag: 'Nodes',
      access: 'reader',
      query: nodesQuerySchema,
      answers: {
        200: {
          description: 'A page of nodes',
          schema: nodesAnswerSchema,
          example: { nodes: [exampleNode, exampleSummary], count: 2, total: 2, nextCursor: null },
        },
      },
      problems: ['invalid', 'not_ready'],
    }),
    async (request, reply) => {
      requireView(fleet);
      const query = queryOf(request.url);
      for (const own of OWN_PARAMETERS) {
        if (query.getAll(own).length > 1) throw new Problem('invalid', `${own}: is given twice`, own);
      }
      const order = orderOf(query.get('sort'));
      const { limit } = read(z.object({ limit: limitSchema }), { limit: query.get('limit') ?? undefined });
      const { fields } = read(z.object({ fields: fieldsSchema }), {
        fields: query.get('fields') ?? undefined,
      });
      const cursor = query.get('cursor');
      for (const own of OWN_PARAMETERS) query.delete(own);
      const { sort, descending } = order;
      const after = cursor === null ? undefined : decodeCursor(order, cursor);
      const filter = readFilter(query);
      const index = await fleet.view.lists.open({ sort, filter });
      const { nodes, total, end } = index.page({
        filter,
        sort,
        descending,
        limit,
        ...(after && { after }),
      });
      const row = await rowsOf(fleet, nodes, fields);
      let count = 0;
      const texts = within(PAGE_BYTES, nodes, (node) => {
        count += 1;
        return JSON.stringify(row(node));
      });
      const text = listText('nodes', texts, () => {
        const last = nodes[count - 1];
        const next = last && count < nodes.length ? keyOf(last, sort) : end;
        return { count, total, nextCursor: next ? encodeCursor(order, next) : null };
      });
      return sendLong(reply, fleet.slices, text);
    },
  );

  app.get<{ Params: { id: string } }>(
    '/api/v1/nodes/:id',
    describe({
      id: 'getNode',
      summary: 'One node, with its last stats and when it last beat',
      tag: 'Nodes',
      access: 'reader',
      params: nodeParamsSchema,
      answers: {
        200: {
          description: 'The node. Without `stats` where the store cannot be asked for them now.',
          schema: nodeAnswerSchema,
          example: { ...exampleNode, stats: { ...exampleStats, lastHeartbeatAt: exampleNode.statusSince } },
        },
      },
      problems: ['not_found', 'store_away'],
    }),
    async (request, reply) => {
      const node = await findNode(fleet, request.params.id);
      const stats = (await liveStats(fleet, [node]))?.get(node.id);
      return reply.header('ETag', `"${node.seq}"`).send({ ...node, ...(stats && { stats }) });
    },
  );

  app.delete<{ Params: { id: string } }>(
    '/api/v1/nodes/:id',
    describe({
      id: 'removeNode',
      summary: 'Remove a node',
      description:
        "An operator's removal: its agent's socket is closed with 4404 and does not come back by itself, dashboards hear `removed` with `removed_by_operator`. With `If-Match` or a filter it is removed only if it still is that version, or still matches: this is decided in the same step as the removal. Needs one of ADMIN_TOKENS where tokens are set.",
      tag: 'Nodes',
      access: 'admin',
      params: nodeParamsSchema,
      answers: {
        200: {
          description: 'It is gone',
          schema: removedAnswerSchema,
          example: { nodeId: exampleNode.id, removed: true },
        },
      },
      query: removalQuerySchema,
      headers: z.object({
        'if-match': z
          .string()
          .exactOptional()
          .describe('The `ETag` of the single read, or several; `*` for any'),
      }),
      problems: ['not_found', 'precondition_failed', 'contended', 'store_away'],
    }),
    async (request, reply) => {
      const seqs = seqsOf(request.headers['if-match']);
      const filter = readFilter(queryOf(request.url));
      const { id } = await findNode(fleet, request.params.id);
      const { remoteAddress, principal } = callerOf(request, access);
      const by = principal?.name ?? `anyone at ${remoteAddress}`;
      const only = { filter, ...(seqs && { seqs }) };
      const ask = { reason: 'removed_by_operator', by, remoteAddress, only } as const;
      const outcome = await fleet.operators.remove(id, ask);
      if (typeof outcome === 'object') throw leftAsItIs(outcome.left);
      if (outcome === 'busy' || outcome === 'contended') throw unwrittenProblem(outcome);
      if (outcome === 'nothing') throw noSuchNode(id);
      return reply.send({ nodeId: id, removed: true });
    },
  );
}

/** The versions in an `If-Match`; undefined if any version matches. A weak tag is never a match (RFC 9110, 13.1.1). */
function seqsOf(header: string | undefined): number[] | undefined {
  if (header === undefined || header.trim() === '*') return undefined;
  const tags = header.split(',').map((tag) => tag.trim());
  if (!tags.every((tag) => /^(W\/)?"[^"]*"$/.test(tag)))
    throw new Problem('invalid', 'If-Match: is not the ETag of a node, such as "12"', 'If-Match');
  return tags.filter((tag) => /^"\d+"$/.test(tag)).map((tag) => Number(tag.slice(1, -1)));
}

const leftAsItIs = ({ id, hostname, status, statusSince, seq }: FleetNode): Problem =>
  new Problem(
    'precondition_failed',
    `${hostname} (${id}) was left: it is ${status} since ${statusSince}, version ${seq}, and not what was asked for`,
  );

/** The nodes of a page in the requested form. */
async function rowsOf(
  fleet: HttpFleet,
  nodes: readonly FleetNode[],
  fields: z.output<typeof fieldsSchema>,
): Promise<(node: FleetNode) => unknown> {
  if (fields === 'full') return (node) => node;
  if (fields === 'summary') return summarize;
  const live = fields.has('lastHeartbeatAt') ? await liveStats(fleet, nodes) : undefined;
  return (node) => ({
    id: node.id,
    ...Object.fromEntries(Object.entries(node).filter(([name]) => fields.has(name))),
    ...(fields.has('hubId') && node.connection && { hubId: node.connection.hubId }),
    ...(live && { lastHeartbeatAt: live.get(node.id)?.lastHeartbeatAt ?? null }),
  });
}

const noSuchNode = (id: string): Problem => new Problem('not_found', `there is no node ${id.slice(0, 253)}`);

async function findNode(fleet: HttpFleet, id: string): Promise<FleetNode> {
  const node = idSchema.safeParse(id).success ? await fleet.node(id) : undefined;
  if (!node) throw noSuchNode(id);
  return node;
}

/** Live figures are optional here: a store out of reach must not hide the nodes themselves. */
async function liveStats(
  fleet: HttpFleet,
  nodes: readonly FleetNode[],
): Promise<ReadonlyMap<string, LiveStats> | undefined> {
  try {
    return await fleet.stats(nodes);
  } catch {
    return undefined;
  }
}
