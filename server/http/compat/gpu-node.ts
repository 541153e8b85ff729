import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { idSchema, nameSchema } from '../../../shared/index.ts';
import { registerByRequest, takenOrProblem } from '../api/agents.ts';
import { nodeParamsSchema } from '../api/schemas.ts';
import { principalOf } from '../guard.ts';
import { Problem, type ProblemCode, unwrittenProblem } from '../problem.ts';
import { answer, type Dialect, errorAnswers, Reading } from './dialect.ts';

/** GPU nodes with pools. The id is the agent's own; capabilities are kept as they come. */

const registerSchema = z.object({
  node_id: z.string('is required').min(1, 'is required'),
  machine_id: z.string().exactOptional(),
  hostname: nameSchema.exactOptional(),
  address: z.string().exactOptional(),
  pools: z.array(z.string()).exactOptional(),
  capabilities: z.unknown().exactOptional(),
});

const heartbeatSchema = z.object({
  timestamp: z.string().exactOptional(),
  pools: z
    .array(z.object({ pool_id: z.string(), ready: z.boolean(), slots_free: z.number().int().nonnegative() }))
    .exactOptional(),
});

const error = (_status: number, code: ProblemCode, message: string) => ({ error: code, message });
const errors = errorAnswers(z.object({ error: z.string(), message: z.string() }), error, {
  invalid: 'node_id: is required',
});

const exampleRegistration = {
  node_id: 'gpu-node-1',
  machine_id: 'machine-alpha',
  address: 'http://192.168.1.100:9200',
  pools: ['pool-0', 'pool-1'],
  capabilities: { gpu_count: 2, total_vram_mb: 48_000, cuda_version: '12.1' },
};
const exampleHeartbeat = {
  timestamp: '2025-10-01T00:00:00Z',
  pools: [{ pool_id: 'pool-0', ready: true, slots_free: 4 }],
};

function routes(app: FastifyInstance, { fleet, access, timing, route }: Dialect): void {
  app.post(
    '/v2/nodes/register',
    route({
      id: 'gpuRegister',
      registers: true,
      summary: 'GPU nodes: register',
      access: 'agent',
      body: { schema: registerSchema, examples: { agent: exampleRegistration } },
      answers: {
        200: answer('Registered', {
          node_id: 'gpu-node-1',
          status: 'registered',
          heartbeat_interval_secs: 10,
        }),
      },
      errors,
    }),
    async (request, reply) => {
      const reading = new Reading();
      const { node_id, machine_id, hostname, address, pools, capabilities } = reading.body(
        registerSchema,
        request.body,
        ['node_id'],
      );
      const node = reading.facts({
        nodeId: node_id,
        hostname: hostname ?? node_id,
        ...(machine_id && { machineId: machine_id }),
        ...(address && { address }),
        ...(pools && { pools }),
        ...(capabilities !== undefined && { capabilities }),
      });
      await registerByRequest({ fleet, access }, request, { node }, timing);
      return reading.end(reply).send({
        node_id,
        status: 'registered',
        heartbeat_interval_secs: timing.intervalMs / 1_000,
      });
    },
  );

  app.post<{ Params: { id: string } }>(
    '/v2/nodes/:id/heartbeat',
    route({
      id: 'gpuHeartbeat',
      summary: 'GPU nodes: a heartbeat with the status of its pools',
      access: 'agent',
      heartbeat: true,
      params: nodeParamsSchema,
      body: { schema: heartbeatSchema, examples: { agent: exampleHeartbeat } },
      answers: { 200: answer('Taken', { node_id: 'gpu-node-1', status: 'ok' }) },
      errors,
    }),
    async (request, reply) => {
      const { id } = request.params;
      const reading = new Reading();
      const { timestamp, pools } = reading.body(heartbeatSchema, request.body ?? {});
      const stats = reading.stats({
        ...(timestamp && { at: timestamp.slice(0, 64) }),
        ...(pools && {
          pools: pools.map(({ pool_id, ready, slots_free }) => ({
            poolId: pool_id,
            ready,
            slotsFree: slots_free,
          })),
        }),
      });
      const remoteAddress = () => access.remoteAddress(request.raw);
      takenOrProblem(
        await fleet.httpAgents.heartbeat({ id, stats, remoteAddress, principal: principalOf(request) }),
      );
      if (request.unreadable) throw request.unreadable;
      return reading.end(reply).send({ node_id: id, status: 'ok' });
    },
  );

  app.delete<{ Params: { id: string } }>(
    '/v2/nodes/:id',
    route({
      id: 'gpuDeregister',
      summary: 'GPU nodes: the agent shuts down and takes its node along',
      access: 'agent',
      params: nodeParamsSchema,
      answers: { 200: answer('Gone', { node_id: 'gpu-node-1', status: 'deregistered' }) },
      errors,
    }),
    async (request, reply) => {
      const { id } = request.params;
      const outcome = idSchema.safeParse(id).success
        ? await fleet.httpAgents.deregister(id, principalOf(request))
        : 'nothing';
      switch (outcome) {
        case 'removed':
          return reply.send({ node_id: id, status: 'deregistered' });
        case 'nothing':
          throw new Problem('not_found', `there is no node ${id.slice(0, 253)}`);
        case 'not-http':
          throw new Problem('not_http', "this node's agent holds a socket: it deregisters there");
        case 'busy':
        case 'contended':
        case 'not_your_node':
          throw unwrittenProblem(outcome);
        default:
          return outcome satisfies never;
      }
    },
  );
}

export const gpuNodeRoutes = { routes, error };
