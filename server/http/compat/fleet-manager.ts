import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import {
  type Condition,
  type FleetNode,
  idSchema,
  type NodeStats,
  type Status,
} from '../../../shared/index.ts';
import { inSlices } from '../../picture/node-lists.ts';
import { sorting } from '../../picture/sorting.ts';
import { instant } from '../../runtime/clock.ts';
import { registerByRequest, takenOrProblem } from '../api/agents.ts';
import { requireView } from '../api/nodes.ts';
import { nodeParamsSchema } from '../api/schemas.ts';
import { principalOf } from '../guard.ts';
import { listText, sendLong } from '../long-answer.ts';
import { notYourNode, Problem, type ProblemCode } from '../problem.ts';
import { queryOf, read } from '../read.ts';
import { answer, type Dialect, errorAnswers, lastSeen, Reading, textsOf } from './dialect.ts';

/**
 * Edge agents of a fleet manager. Only `node_id` and `node_type` are required. 409 only while a
 * socket that beat within one interval holds the id; else a second registration updates the node.
 */

const requiredText = z.string('is required').min(1, 'is required');

const registerSchema = z.object({
  node_id: requiredText,
  node_type: requiredText,
  capabilities: z.array(z.string()).nullable().exactOptional(),
  location: z.string().exactOptional(),
  metadata: z.record(z.string(), z.unknown()).nullable().exactOptional(),
});

const heartbeatSchema = z.object({
  node_id: requiredText,
  uptime_seconds: z.number().nonnegative().exactOptional(),
  free_memory_kb: z.number().exactOptional(),
  sensors_active: z.number().exactOptional(),
  status: z.string().exactOptional(),
});

/** The protocol's states; a node that is unreachable but not offline yet still shows as online. */
const shownAs: Record<Status, 'online' | 'degraded' | 'offline'> = {
  online: 'online',
  degraded: 'degraded',
  unreachable: 'online',
  offline: 'offline',
};
const listSchema = z.strictObject({
  node_type: z.string().exactOptional(),
  status: z.enum(['online', 'offline', 'degraded']).exactOptional(),
  location: z.string().exactOptional(),
});

const error = (_status: number, _code: ProblemCode, message: string) => ({ error: message });
const errors = errorAnswers(z.object({ error: z.string() }), error, {
  invalid: 'node_id: is required',
  not_http: 'a connected agent holds this id',
});

const exampleNode = {
  id: 'microclaw-esp32-f4cfa210',
  name: 'microclaw-esp32-f4cfa210',
  type: 'microclaw',
  capabilities: ['dht22', 'mqtt'],
  location: 'office-floor-2',
  last_seen: '2026-02-16T08:31:00Z',
  status: 'online',
  metadata: { gateway: 'nanoclaw-pi-01', firmware: 'v1.0.0' },
};
const exampleRegistration = {
  node_id: exampleNode.id,
  node_type: 'microclaw',
  capabilities: exampleNode.capabilities,
  location: exampleNode.location,
  metadata: exampleNode.metadata,
};

/** Times in the protocol's form: whole seconds. */
const seconds = (at: string): string => at.replace(/\.\d{3}Z$/, 'Z');

function routes(app: FastifyInstance, { fleet, access, timing, route }: Dialect): void {
  app.post(
    '/api/v1/fleet/register',
    route({
      id: 'edgeRegister',
      registers: true,
      summary: 'Fleet manager: register, or update a registration',
      access: 'agent',
      body: { schema: registerSchema, examples: { agent: exampleRegistration } },
      answers: {
        200: answer('Registered', {
          node_id: exampleNode.id,
          status: 'registered',
          message: 'Node successfully registered',
          timestamp: '2026-02-16T08:30:00Z',
        }),
      },
      errors,
    }),
    async (request, reply) => {
      const reading = new Reading();
      const { node_id, node_type, capabilities, location, metadata } = reading.body(
        registerSchema,
        request.body,
        ['node_id', 'node_type'],
      );
      const node = reading.facts({
        nodeId: node_id,
        hostname: node_id,
        kind: node_type,
        ...(capabilities && { capabilities }),
        ...(location && { location }),
        ...(metadata && { metadata }),
      });
      const holder = await fleet.httpAgents.socketHolds(node_id, principalOf(request));
      if (holder === 'not_your_node') throw notYourNode();
      if (holder === 'held') throw new Problem('superseded', 'a connected agent holds this id');
      const { hubTime } = await registerByRequest({ fleet, access }, request, { node }, timing);
      return reading.end(reply).send({
        node_id,
        status: 'registered',
        message: 'Node successfully registered',
        timestamp: seconds(hubTime),
      });
    },
  );

  app.post(
    '/api/v1/fleet/heartbeat',
    route({
      id: 'edgeHeartbeat',
      summary: 'Fleet manager: a heartbeat',
      access: 'agent',
      body: {
        schema: heartbeatSchema,
        examples: {
          agent: {
            node_id: exampleNode.id,
            uptime_seconds: 86_400,
            free_memory_kb: 200,
            sensors_active: 2,
            status: 'online',
          },
        },
      },
      answers: {
        200: answer('Taken', {
          node_id: exampleNode.id,
          received: '2026-02-16T08:31:00Z',
          next_check_seconds: 60,
        }),
      },
      errors,
    }),
    async (request, reply) => {
      const reading = new Reading();
      const { node_id, ...figures } = reading.body(heartbeatSchema, request.body, ['node_id']);
      const unread = isUnread(request.body, figures.status);
      if (unread && figures.status !== undefined)
        reading.drop({ code: 'invalid', path: 'status', message: 'is neither online nor degraded' });
      const remoteAddress = () => access.remoteAddress(request.raw);
      const taken = takenOrProblem(
        await fleet.httpAgents.heartbeat({
          id: node_id,
          stats: reading.stats(statsOf(figures)),
          ...(unread && { unread: 'all' as const }),
          remoteAddress,
          principal: principalOf(request),
        }),
      );
      return reading.end(reply).send({
        node_id,
        received: seconds(instant(fleet.now())),
        next_check_seconds: Math.round(taken.nextInMs / 1_000),
      });
    },
  );

  app.get(
    '/api/v1/fleet/nodes',
    route({
      id: 'edgeListNodes',
      summary: 'Fleet manager: nodes, by type, status and location',
      access: 'reader',
      query: listSchema,
      answers: { 200: answer('The nodes', { nodes: [exampleNode], count: 1 }) },
      errors,
    }),
    async (request, reply) => {
      requireView(fleet);
      const { node_type, status, location } = read(listSchema, Object.fromEntries(queryOf(request.url)));
      const found = await fleet.view.find({
        ...(node_type && { kind: [node_type] }),
        ...(location && { location }),
      });
      const shown = found.filter((node) => status === undefined || shownAs[node.status] === status);
      const nodes = await inSlices(
        sorting(shown, (a, b) => (a.id < b.id ? -1 : 1)),
        fleet.slices,
      );
      const texts = textsOf(fleet, nodes, nodeAs003);
      return sendLong(
        reply,
        fleet.slices,
        listText('nodes', texts, () => ({ count: nodes.length })),
      );
    },
  );

  app.get<{ Params: { id: string } }>(
    '/api/v1/fleet/nodes/:id',
    route({
      id: 'edgeGetNode',
      summary: 'Fleet manager: one node',
      access: 'reader',
      params: nodeParamsSchema,
      answers: { 200: answer('The node', exampleNode) },
      errors,
    }),
    async (request, reply) => {
      const { id } = request.params;
      const node = idSchema.safeParse(id).success ? await fleet.node(id) : undefined;
      if (!node) throw new Problem('not_found', `there is no node ${id.slice(0, 253)}`);
      return reply.send(nodeAs003(node, await lastSeen(fleet, [node])));
    },
  );
}

/** Whether a status was reported that is none: what is known of the node's health stays. */
const isUnread = (body: unknown, status: string | undefined): boolean =>
  status === undefined
    ? typeof body === 'object' && body !== null && 'status' in body
    : status !== 'online' && status !== 'degraded';

const reportedDegraded: Condition = { type: 'status', status: 'fail', message: 'its agent reports degraded' };

/** `online` reports no fault, `degraded` a fault; another word, or none, reports nothing. */
function statsOf({
  uptime_seconds,
  free_memory_kb,
  sensors_active,
  status,
}: Omit<z.output<typeof heartbeatSchema>, 'node_id'>): NodeStats {
  const metrics = {
    ...(free_memory_kb !== undefined && { free_memory_kb }),
    ...(sensors_active !== undefined && { sensors_active }),
  };
  return {
    ...(uptime_seconds !== undefined && { uptimeSeconds: uptime_seconds }),
    ...(Object.keys(metrics).length > 0 && { metrics }),
    ...(status === 'degraded' && { conditions: [reportedDegraded] }),
    ...(status === 'online' && { conditions: [] }),
  };
}

function nodeAs003(node: FleetNode, seen: ReadonlyMap<string, string>) {
  const { id, kind, capabilities, location, status, metadata, evidence, statusSince } = node;
  return {
    id,
    name: id,
    type: kind ?? 'unknown',
    capabilities: capabilities ?? [],
    ...(location !== undefined && { location }),
    last_seen: seconds(seen.get(id) ?? evidence.lastHeartbeatAt ?? statusSince),
    status: shownAs[status],
    metadata: metadata ?? {},
  };
}

export const fleetManagerRoutes = { routes, error };
