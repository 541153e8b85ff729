import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { type FleetNode, figureSchema, idSchema, inContact } from '../../../shared/index.ts';
import { registerByRequest, takenOrProblem } from '../api/agents.ts';
import { requireView } from '../api/nodes.ts';
import { principalOf } from '../guard.ts';
import { listText, sendLong } from '../long-answer.ts';
import { Problem, type ProblemCode } from '../problem.ts';
import { read } from '../read.ts';
import { answer, type Dialect, errorAnswers, lastSeen, Reading, textsOf } from './dialect.ts';

/**
 * Hypervisors: JSON over Connect. The hostname identifies the node; RegisterNode returns the whole node, errors are
 * Connect's `{code, message}`.
 */

/** Proto3 JSON writes 64-bit numbers as strings. */
const number64Schema = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d{1,18}$/)
      .transform(Number),
  ])
  .pipe(figureSchema.unwrap())
  .nullable();
/** A model may be named `8280`: it stays text. */
const numberedSchema = z
  .object({ model: z.string().exactOptional() })
  .catchall(z.union([number64Schema, z.unknown()]));

const registerSchema = z.object({
  hostname: z.string('is required').min(1, 'is required'),
  managementIp: z.string().exactOptional(),
  labels: z.record(z.string(), z.string()).exactOptional(),
  role: z.record(z.string(), z.unknown()).exactOptional(),
  cpuInfo: numberedSchema.exactOptional(),
  memoryInfo: numberedSchema.exactOptional(),
});

const heartbeatSchema = z.object({
  nodeId: z.string('is required').min(1, 'is required'),
  cpuUsagePercent: number64Schema.exactOptional(),
  memoryUsedMib: number64Schema.exactOptional(),
  memoryTotalMib: number64Schema.exactOptional(),
});

const getSchema = z.union(
  [
    z.object({ id: z.string() }),
    z.object({ nodeId: z.string() }).transform(({ nodeId }) => ({ id: nodeId })),
  ],
  'id: is required',
);

const errorCodes: Record<ProblemCode, string> = {
  invalid: 'invalid_argument',
  bad_json: 'invalid_argument',
  unauthenticated: 'unauthenticated',
  forbidden: 'permission_denied',
  not_found: 'not_found',
  not_registered: 'not_found',
  method_not_allowed: 'unimplemented',
  not_served: 'unimplemented',
  superseded: 'aborted',
  not_http: 'aborted',
  not_your_node: 'permission_denied',
  precondition_failed: 'failed_precondition',
  contended: 'resource_exhausted',
  gap: 'out_of_range',
  too_large: 'resource_exhausted',
  unsupported_media_type: 'invalid_argument',
  rate_limited: 'resource_exhausted',
  fleet_full: 'resource_exhausted',
  busy: 'unavailable',
  not_ready: 'unavailable',
  store_away: 'unavailable',
  stopping: 'unavailable',
  internal: 'internal',
};

const service = '/limiquantix.compute.v1.NodeService';

const example = {
  id: '28113561-2e72-490d-8bd7-050d2e7c2d18',
  hostname: 'hypervisor-01.local',
  managementIp: '192.168.1.10:9090',
  status: { phase: 'READY' },
  createdAt: '2026-01-02T09:27:41.446Z',
};
const { status: _, createdAt: __, id: ___, ...exampleRequest } = example;
const error = (_status: number, code: ProblemCode, message: string) => ({ code: errorCodes[code], message });
const errors = errorAnswers(z.object({ code: z.string(), message: z.string() }), error, {
  invalid: 'hostname: is required',
});

function routes(app: FastifyInstance, { fleet, access, timing, route }: Dialect): void {
  app.post(
    `${service}/RegisterNode`,
    route({
      id: 'connectRegisterNode',
      registers: true,
      summary: 'Connect: register, or register again',
      access: 'agent',
      body: { schema: registerSchema, examples: { agent: exampleRequest } },
      answers: { 200: answer('The whole node', example) },
      errors,
    }),
    async (request, reply) => {
      const reading = new Reading();
      const { hostname, managementIp, labels, role, cpuInfo, memoryInfo } = reading.body(
        registerSchema,
        request.body,
        ['hostname'],
      );
      const node = reading.facts({
        hostname,
        ...(managementIp && { address: managementIp }),
        ...(labels && { labels }),
        ...(role && { roles: Object.keys(role).filter((name) => role[name] === true), metadata: { role } }),
        ...(cpuInfo && { cpu: cpuInfo }),
        ...(memoryInfo && { memory: memoryInfo }),
      });
      const registered = await registerByRequest({ fleet, access }, request, { node }, timing);
      return reading.end(reply).send(nodeAs000(registered.node, registered.hubTime));
    },
  );

  app.post(
    `${service}/UpdateHeartbeat`,
    route({
      id: 'connectUpdateHeartbeat',
      summary: 'Connect: a heartbeat with figures',
      access: 'agent',
      body: {
        schema: heartbeatSchema,
        examples: {
          agent: {
            nodeId: example.id,
            cpuUsagePercent: 35.2,
            memoryUsedMib: 98_304,
            memoryTotalMib: 262_144,
          },
        },
      },
      answers: { 200: answer('Acknowledged', { acknowledged: true }) },
      errors,
    }),
    async (request, reply) => {
      const reading = new Reading();
      const { nodeId, cpuUsagePercent, memoryUsedMib, memoryTotalMib } = reading.body(
        heartbeatSchema,
        request.body,
        ['nodeId'],
      );
      const stats = reading.stats({
        ...(cpuUsagePercent !== undefined && { cpuPercent: cpuUsagePercent }),
        ...(memoryUsedMib !== undefined && { memoryUsedMib }),
        ...(memoryTotalMib !== undefined && { memoryTotalMib }),
      });
      const remoteAddress = () => access.remoteAddress(request.raw);
      takenOrProblem(
        await fleet.httpAgents.heartbeat({
          id: nodeId,
          stats,
          remoteAddress,
          principal: principalOf(request),
        }),
      );
      return reading.end(reply).send({ acknowledged: true });
    },
  );

  app.post(
    `${service}/ListNodes`,
    route({
      id: 'connectListNodes',
      summary: 'Connect: every node',
      access: 'reader',
      body: { schema: z.object({}), examples: { agent: {} } },
      answers: { 200: answer('All nodes', { nodes: [example] }) },
      errors,
    }),
    async (_request, reply) => {
      requireView(fleet);
      const nodes = await fleet.view.find({});
      const texts = textsOf(fleet, nodes, (node, seen) => nodeAs000(node, seen.get(node.id)));
      return sendLong(reply, fleet.slices, listText('nodes', texts));
    },
  );

  app.post(
    `${service}/GetNode`,
    route({
      id: 'connectGetNode',
      summary: 'Connect: one node',
      access: 'reader',
      body: { schema: z.object({ id: z.string() }), examples: { plain: { id: example.id } } },
      answers: { 200: answer('The node', example) },
      errors,
    }),
    async (request, reply) => {
      const { id } = read(getSchema, request.body);
      const node = idSchema.safeParse(id).success ? await fleet.node(id) : undefined;
      if (!node) throw new Problem('not_found', `there is no node ${id.slice(0, 253)}`);
      return reply.send(nodeAs000(node, (await lastSeen(fleet, [node])).get(id)));
    },
  );
}

/** A node in the form of this protocol, with its agent's own fields. */
function nodeAs000(node: FleetNode, lastHeartbeat: string | undefined) {
  const { id, hostname, address, labels, roles, metadata, cpu, memory, status, createdAt } = node;
  return {
    id,
    hostname,
    ...(address !== undefined && { managementIp: address }),
    labels,
    role: metadata?.role ?? Object.fromEntries(roles.map((role) => [role, true])),
    ...(cpu && { cpuInfo: cpu }),
    ...(memory && { memoryInfo: memory }),
    status: { phase: inContact(status) ? 'READY' : 'NOT_READY' },
    createdAt,
    ...(lastHeartbeat !== undefined && { lastHeartbeat }),
  };
}

export const connectRoutes = { routes, error };
