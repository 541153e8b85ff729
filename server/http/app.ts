import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Access } from '../edge/access.ts';
import type { Admission } from '../edge/admission.ts';
import type { Listener } from '../edge/listener.ts';
import type { ReaderBudget } from '../edge/reader-budget.ts';
import type { Refusals } from '../edge/refusals.ts';
import { SAFE_HEADERS } from '../edge/safe-headers.ts';
import { type Role, serves } from '../edge/serves.ts';
import type { HubGroup } from '../edge/worker-group.ts';
import type { HttpFleet } from '../fleet/ports.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { LostDataError, StoreAwayError } from '../store/fleet-store.ts';
import { admitRegistrations } from './admit.ts';
import { agentRoutes } from './api/agents.ts';
import { EventStreams } from './api/event-streams.ts';
import { eventRoutes } from './api/events.ts';
import { healthRoutes } from './api/health.ts';
import { nodeRoutes } from './api/nodes.ts';
import { summaryRoute } from './api/summary.ts';
import { type DialectOptions, dialectRoutes } from './compat/dialects.ts';
import { asyncApiRoute } from './docs/asyncapi.ts';
import { docsRoutes } from './docs/docs.ts';
import { entranceOf, guardRoutes } from './guard.ts';
import { jsonBodies } from './json-body.ts';
import { type HubMetrics, metricsRoute } from './metrics/metrics.ts';
import { pageFiles } from './page.ts';
import { Problem, type ProblemCode, sendProblem, setRetryAfter } from './problem.ts';
import { BODY_BYTES } from './whole-body.ts';

/** How often the end of requests in flight is checked. */
const DRAIN_CHECK_MS = 20;

export interface HttpAppParts {
  /** The source of its requests. */
  listener: Listener;
  fleet: HttpFleet;
  access: Access;
  /** Shared with the agents' sockets; without it registrations are not bounded. */
  admission?: Admission;
  /** Counted together with those of the sockets. */
  refusals: Refusals;
  clock: Clock;
  log: Log;
  /** The folder of the built page; without it `/` lists the API's addresses for programs. */
  page?: string | undefined;
  /** The clients of this hub. Default: all. */
  role?: Role;
  /** The group that this hub answers for, if it is a worker. */
  group?: HubGroup;
  metrics?: HubMetrics;
  dialects?: DialectOptions;
  /** The account of unread bytes. */
  readers: ReaderBudget;
  /** Whether `/docs`, `/openapi.json` and `/asyncapi.json` are served. Default: yes. */
  docs?: boolean;
}

/** The hub's HTTP interface. */
export interface HttpFace {
  app: FastifyInstance;
  streams: EventStreams;
  /**
   * New requests are refused with 503 from now on, event streams end, and requests in flight get this time to be
   * answered. Calling it twice is harmless.
   */
  drain(withinMs: number): Promise<void>;
}

/** Health for balancers, the fleet for programs, agents without a socket, and its own documentation. */
export function createHttpApp(parts: HttpAppParts): HttpFace {
  const { listener, fleet, access, refusals, clock, log, role = 'all', group, docs = true, readers } = parts;
  const app = Fastify({
    bodyLimit: BODY_BYTES,
    // The server, its timeouts, its connections and their end belong to the listener.
    serverFactory: (handler) => {
      listener.handle(handler);
      return listener.server;
    },
    clientErrorHandler: () => {},
    // Ids may be longer than the default of 100, and escaped. No route has a pattern that length could slow down.
    routerOptions: { maxParamLength: 16 * 1024 },
    // A wrong %-escape gets a problem like any other fault.
    frameworkErrors: (_error, _request, reply) =>
      void sendProblem(reply.headers(SAFE_HEADERS), new Problem('invalid', 'the path is not valid')),
  });
  app.removeContentTypeParser('text/plain');
  jsonBodies(app);
  readers.watch(() => listener.requests.readers());
  // At the beginning of each request, so that errors of any kind have these headers too.
  app.addHook('onRequest', (_request, reply, next) => {
    void reply.headers(SAFE_HEADERS);
    next();
  });
  const gate = new Gate(app);
  guardRoutes(app, { access, role });
  if (parts.admission) admitRegistrations(app, parts.admission, clock);
  const allowedAt = rememberRoutes(app);
  const streams = new EventStreams({ fleet, clock, log, readers });

  if (docs) docsRoutes(app);
  if (parts.page !== undefined && serves(role, 'readers')) pageFiles(app, parts.page);
  void app.register(async (scope) => {
    healthRoutes(scope, { fleet, role, group, docs });
    nodeRoutes(scope, fleet, access);
    summaryRoute(scope, fleet);
    eventRoutes(scope, { fleet, streams });
    agentRoutes(scope, { fleet, access });
    if (docs) asyncApiRoute(scope);
    if (parts.metrics) metricsRoute(scope, parts.metrics, group);
    if (parts.dialects) dialectRoutes(scope, { ...parts.dialects, fleet, access });
  });

  app.setNotFoundHandler((request, reply) => {
    const url = request.url.split('?', 1)[0] ?? '/';
    const allowed = allowedAt(url);
    if (allowed.length === 0) throw new Problem('not_found', `there is nothing at ${url.slice(0, 200)}`);
    void reply.header('Allow', allowed.join(', '));
    throw new Problem('method_not_allowed', `${request.method} is not allowed here`);
  });
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error);
    if (problem.code === 'internal') log.error({ err: error }, 'A request failed');
    if (problem.code === 'not_your_node')
      refusals.note(entranceOf(request), problem.code, access.peerAddress(request.raw));
    return answerProblem(request, reply, problem);
  });
  return {
    app,
    streams,
    drain: async (withinMs) => {
      gate.close();
      streams.close();
      for (let waited = 0; gate.inFlight > 0 && waited < withinMs; waited += DRAIN_CHECK_MS) {
        await clock.sleep(DRAIN_CHECK_MS);
      }
      if (gate.inFlight > 0) listener.server.closeAllConnections();
    },
  };
}

function answerProblem(request: FastifyRequest, reply: FastifyReply, problem: Problem): FastifyReply {
  const { dialect } = request.routeOptions.config;
  if (!dialect) return sendProblem(reply, problem);
  const { status, code, message } = problem;
  setRetryAfter(reply, problem);
  return reply
    .code(status)
    .type('application/json')
    .send(dialect.error(status, code, message));
}

/** Fastify's own errors, by their code or status. */
const fastifyCodes: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_BODY_TOO_LARGE: 'too_large',
};

function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof StoreAwayError || error instanceof LostDataError) {
    return new Problem('store_away', 'the hub cannot reach its store');
  }
  if (!(error instanceof Error)) return new Problem('internal', 'the hub failed; its log says more');
  const code = 'code' in error && typeof error.code === 'string' ? fastifyCodes[error.code] : undefined;
  if (code === 'unsupported_media_type') return new Problem(code, 'send Content-Type: application/json');
  if (code) return new Problem(code, error.message);
  const status = 'statusCode' in error ? Number(error.statusCode) : 500;
  if (status >= 400 && status < 500)
    return new Problem('bad_json', `the body is not valid JSON: ${error.message}`);
  return new Problem('internal', 'the hub failed; its log says more');
}

/** Counts requests in flight, and refuses new ones once it is closed. */
class Gate {
  inFlight = 0;
  #closed = false;

  constructor(app: FastifyInstance) {
    const ended = () => {
      this.inFlight -= 1;
    };
    app.addHook('onRequest', (_request, reply, next) => {
      this.inFlight += 1;
      reply.raw.once('close', ended);
      if (!this.#closed) {
        next();
        return;
      }
      void reply.header('Connection', 'close');
      next(new Problem('stopping', 'the hub is shutting down'));
    });
  }

  close(): void {
    this.#closed = true;
  }
}

/** Collects every route, to distinguish a wrong method from a wrong path. */
function rememberRoutes(app: FastifyInstance): (path: string) => string[] {
  const routes: Array<{ pattern: RegExp; methods: string[] }> = [];
  app.addHook('onRoute', ({ method, url }) => {
    const pattern = url
      .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
      .replace(/:[^/]+/g, '[^/]+')
      .replace(/\*$/, '.*');
    routes.push({ pattern: new RegExp(`^${pattern}$`), methods: [method].flat() });
  });
  return (path) => [
    ...new Set(routes.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods)),
  ];
}
