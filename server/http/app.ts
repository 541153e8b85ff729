import Fastify, { type FastifyInstance } from 'fastify';
import { type Access, bearer } from '../access.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Log } from '../log.ts';
import { StoreAwayError } from '../store/fleet-store.ts';
import { nodeRoutes } from './nodes.ts';
import { problem } from './problem.ts';

/** The hub's HTTP face: health for balancers, the fleet for programs. */
export function createHttpApp({
  fleet,
  access,
  log,
}: {
  fleet: Fleet;
  access: Access;
  log: Log;
}): FastifyInstance {
  const app = Fastify({
    bodyLimit: 64 * 1024,
    requestTimeout: 15_000,
    keepAliveTimeout: 60_000,
    forceCloseConnections: 'idle',
    // A wrong %-escape is answered like everything else.
    frameworkErrors: (_error, _request, reply) =>
      void problem(reply, 400, 'invalid', 'the path is not valid'),
  });
  app.removeContentTypeParser('text/plain');
  guard(app, access);
  const allowedAt = rememberRoutes(app);

  app.get('/healthz', (_request, reply) => reply.send({ status: 'alive' }));
  app.get('/readyz', (_request, reply) => {
    const { state, since, hubs } = fleet.state;
    const ready = fleet.ready;
    return reply.code(ready ? 200 : 503).send({
      status: ready ? 'ready' : 'not ready',
      viewLoaded: fleet.view.loaded,
      store: state,
      since,
      hubs,
    });
  });
  app.get('/', (_request, reply) =>
    reply.send({
      name: 'rollcall',
      nodes: '/api/v1/nodes',
      health: '/healthz',
      ready: '/readyz',
      agents: '/agent',
      dashboards: '/socket.io',
    }),
  );
  nodeRoutes(app, fleet);

  app.setNotFoundHandler((request, reply) => {
    const url = request.url.split('?', 1)[0] ?? '/';
    const allowed = allowedAt(url);
    if (allowed.length === 0)
      return problem(reply, 404, 'not_found', `there is nothing at ${url.slice(0, 200)}`);
    return problem(
      reply.header('Allow', allowed.join(', ')),
      405,
      'method_not_allowed',
      `${request.method} is not allowed here`,
    );
  });
  app.setErrorHandler((error, _request, reply) => {
    if (error instanceof StoreAwayError)
      return problem(reply, 503, 'store_away', 'the hub cannot reach its store');
    const status =
      typeof error === 'object' && error !== null && 'statusCode' in error ? Number(error.statusCode) : 500;
    if (status < 500)
      return problem(reply, status, 'invalid', error instanceof Error ? error.message : 'bad request');
    log.error({ err: error }, 'A request failed');
    return problem(reply, 500, 'internal', 'the hub failed; its log says more');
  });
  return app;
}

/** Remembers every route, to tell a wrong method from a wrong path. */
function rememberRoutes(app: FastifyInstance): (path: string) => string[] {
  const routes: Array<{ pattern: RegExp; methods: string[] }> = [];
  app.addHook('onRoute', ({ method, url }) => {
    routes.push({ pattern: new RegExp(`^${url.replace(/:[^/]+/g, '[^/]+')}$`), methods: [method].flat() });
  });
  return (path) => [
    ...new Set(routes.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods)),
  ];
}

/** Health is open to all; the rest needs a local name or a dashboard's token. */
function guard(app: FastifyInstance, access: Access): void {
  app.addHook('onRequest', async (request, reply) => {
    if (request.url === '/healthz' || request.url === '/readyz') return;
    if (!access.hostAllowed(request.raw)) {
      await problem(reply, 403, 'forbidden', 'a hub without tokens answers to localhost only');
      return;
    }
    const verdict = access.dashboard(bearer(request.raw));
    if (verdict === 'forbidden') await problem(reply, 403, 'forbidden', 'this token may register, not read');
    else if (verdict !== 'ok') {
      await problem(
        reply.header('WWW-Authenticate', 'Bearer'),
        401,
        'unauthenticated',
        `the token is ${verdict}`,
      );
    }
  });
}
