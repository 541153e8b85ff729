import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { instantSchema } from '../../../shared/index.ts';
import { ROLES, type Role } from '../../edge/serves.ts';
import type { HubGroup } from '../../edge/worker-group.ts';
import type { HttpFleet } from '../../fleet/ports.ts';
import { describe } from '../operation.ts';
import { sentPage } from '../page.ts';

const aliveSchema = z.object({ status: z.literal('alive') });
const readySchema = z.object({
  status: z.enum(['ready', 'not ready']),
  serves: z.enum(ROLES),
  viewLoaded: z.boolean(),
  store: z.enum(['live', 'stale']),
  since: instantSchema,
  storeUnheardMs: z.number().int(),
  hubs: z.number().int(),
  workers: z
    .object({ wanted: z.number().int(), running: z.number().int(), ready: z.number().int() })
    .exactOptional(),
});
const readyExample = {
  serves: 'all',
  viewLoaded: true,
  store: 'live',
  since: '2026-01-02T09:27:41.446Z',
  storeUnheardMs: 214,
  hubs: 2,
};
const namesSchema = z.record(z.string(), z.string());

const names = {
  name: 'rollcall',
  api: '/api/v1',
  nodes: '/api/v1/nodes',
  summary: '/api/v1/summary',
  events: '/api/v1/events',
  documentation: '/docs',
  openapi: '/openapi.json',
  asyncapi: '/asyncapi.json',
  metrics: '/metrics',
  health: '/healthz',
  ready: '/readyz',
  agents: '/agent',
  dashboards: '/socket.io',
} as const;

/** `GET /healthz`, `/readyz` for balancers, and `/`: the page for browsers, for programs the addresses of the rest. */
export function healthRoutes(
  app: FastifyInstance,
  { fleet, role, group, docs }: { fleet: HttpFleet; role: Role; group: HubGroup | undefined; docs: boolean },
): void {
  const { documentation: _, openapi: __, asyncapi: ___, ...withoutDocs } = names;
  const named = docs ? names : withoutDocs;
  app.get(
    '/healthz',
    describe({
      id: 'isAlive',
      summary: 'Whether the process answers',
      tag: 'Hub',
      access: 'open',
      answers: { 200: { description: 'It does', schema: aliveSchema, example: { status: 'alive' } } },
    }),
    (_request, reply) => reply.send({ status: 'alive' }),
  );
  app.get(
    '/readyz',
    describe({
      id: 'isReady',
      summary: 'Whether this hub sees its store, and has loaded its view where it serves readers',
      tag: 'Hub',
      access: 'open',
      answers: {
        200: { description: 'It is', schema: readySchema, example: { status: 'ready', ...readyExample } },
        503: {
          description: 'It is not: send traffic elsewhere',
          schema: readySchema,
          example: { status: 'not ready', ...readyExample, store: 'stale' },
        },
      },
    }),
    (_request, reply) => {
      const { state, since, hubs } = fleet.state;
      const { open = true, ...workers } = group?.status ?? {};
      const ready = fleet.ready && open;
      const body = {
        status: ready ? 'ready' : 'not ready',
        serves: role,
        viewLoaded: fleet.view.loaded,
        store: state,
        since,
        storeUnheardMs: fleet.unheardMs(),
        hubs,
        ...(group && { workers }),
      };
      return reply.code(ready ? 200 : 503).send(body);
    },
  );
  app.get(
    '/',
    describe({
      id: 'nameAll',
      summary: 'What there is',
      tag: 'Hub',
      access: 'reader',
      answers: { 200: { description: 'Paths by what they are for', schema: namesSchema, example: names } },
    }),
    (request, reply) => (sentPage(app, request, reply) ? reply : reply.send(named)),
  );
}
