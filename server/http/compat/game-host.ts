import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { type FleetNode, figureSchema, nameSchema } from '../../../shared/index.ts';
import { registerByRequest, takenOrProblem } from '../api/agents.ts';
import { principalOf } from '../guard.ts';
import type { ProblemCode } from '../problem.ts';
import { answer, type Dialect, errorAnswers, Reading } from './dialect.ts';

/** Hosts of game servers. An unknown node's stats are 404, so that its agent registers again. */

const registerSchema = z.object({
  nodeId: z.string('is required').min(1, 'is required'),
  hostname: nameSchema.exactOptional(),
  ipAddress: z.string().exactOptional(),
  maxServers: figureSchema.unwrap().exactOptional(),
});

const figure = figureSchema.exactOptional();
const heartbeatSchema = z.object({
  cpuUsage: figure,
  memoryUsage: figure,
  diskUsage: figure,
  containerCount: figure,
  timestamp: z.string().exactOptional(),
});

const error = (_status: number, code: ProblemCode, message: string) => ({ error: code, message });
const errors = errorAnswers(z.object({ error: z.string(), message: z.string() }), error, {
  invalid: 'nodeId: is required',
});

const exampleRegistration = {
  nodeId: 'node-1',
  hostname: 'host-machine',
  ipAddress: '192.168.1.100',
  maxServers: 20,
};
const exampleHeartbeat = {
  cpuUsage: 45.2,
  memoryUsage: 67.8,
  diskUsage: 23.4,
  containerCount: 3,
  timestamp: '2025-07-03T10:30:00Z',
};
const exampleNode = { ...exampleRegistration, status: 'ONLINE', lastHeartbeat: '2025-07-03T10:30:00.000Z' };

function routes(app: FastifyInstance, { fleet, access, timing, route }: Dialect): void {
  app.post(
    '/api/nodes/register',
    route({
      id: 'gameHostRegister',
      registers: true,
      summary: 'Game hosts: register',
      access: 'agent',
      body: { schema: registerSchema, examples: { agent: exampleRegistration } },
      answers: { 200: answer('Created or updated', exampleNode) },
      errors,
    }),
    async (request, reply) => {
      const reading = new Reading();
      const required = ['nodeId'];
      const { nodeId, hostname, ipAddress, maxServers } = reading.body(
        registerSchema,
        request.body,
        required,
      );
      const node = reading.facts({
        nodeId,
        hostname: hostname ?? nodeId,
        ...(ipAddress && { address: ipAddress }),
        ...(maxServers !== undefined && { capacity: { maxServers } }),
      });
      const registered = await registerByRequest({ fleet, access }, request, { node }, timing);
      return reading.end(reply).send(nodeAs004(registered.node, registered.hubTime));
    },
  );

  app.post<{ Params: { nodeId: string } }>(
    '/api/nodes/:nodeId/stats',
    route({
      id: 'gameHostStats',
      summary: 'Game hosts: a heartbeat with figures',
      access: 'agent',
      heartbeat: true,
      params: z.object({ nodeId: z.string() }),
      body: { schema: heartbeatSchema, examples: { agent: exampleHeartbeat } },
      answers: { 200: answer('Updated', exampleNode) },
      errors,
    }),
    async (request, reply) => {
      const { nodeId: id } = request.params;
      const reading = new Reading();
      const { cpuUsage, memoryUsage, diskUsage, containerCount, timestamp } = reading.body(
        heartbeatSchema,
        request.body ?? {},
      );
      const stats = reading.stats({
        ...(cpuUsage !== undefined && { cpuPercent: cpuUsage }),
        ...(memoryUsage !== undefined && { memoryPercent: memoryUsage }),
        ...(diskUsage !== undefined && { diskPercent: diskUsage }),
        ...(containerCount !== undefined && { metrics: { containerCount } }),
        ...(timestamp && { at: timestamp.slice(0, 64) }),
      });
      const remoteAddress = () => access.remoteAddress(request.raw);
      const { node } = takenOrProblem(
        await fleet.httpAgents.heartbeat({ id, stats, remoteAddress, principal: principalOf(request) }),
      );
      if (request.unreadable) throw request.unreadable;
      return reading.end(reply).send(nodeAs004(node, new Date(fleet.now()).toISOString()));
    },
  );
}

function nodeAs004({ id, hostname, address, capacity, status }: FleetNode, lastHeartbeat: string) {
  return {
    nodeId: id,
    hostname,
    ...(address !== undefined && { ipAddress: address }),
    ...(capacity?.maxServers !== undefined && { maxServers: capacity.maxServers }),
    status: status === 'offline' ? 'OFFLINE' : 'ONLINE',
    lastHeartbeat,
  };
}

export const gameHostRoutes = { routes, error };
