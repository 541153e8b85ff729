import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Access } from '../edge/access.ts';
import type { Entrance } from '../edge/refusals.ts';
import { requestFault } from '../edge/request-faults.ts';
import { notServed, type Role, serves } from '../edge/serves.ts';
import { ANONYMOUS, type Caller, type Principal } from '../rules/principal.ts';
import { isForPage } from './page.ts';
import { Problem } from './problem.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; null until the request was admitted. */
    principal: Principal | null;
  }
}

interface Guard {
  access: Access;
  role: Role;
}

/**
 * Checks each request before anything of it is read: whether this hub serves it, and what the route's access asks for: a
 * local name where the hub has no tokens, the page's origin where something would be changed, and a token. What does
 * not exist is 404 for everybody.
 */
export function guardRoutes(app: FastifyInstance, guard: Guard): void {
  app.decorateRequest('principal', null);
  // A callback, not a promise: this runs before every heartbeat.
  app.addHook('onRequest', (request, _reply, next) => {
    next(refusalOf(app, request, guard));
  });
}

function refusalOf(app: FastifyInstance, request: FastifyRequest, guard: Guard): Problem | undefined {
  const { access, role } = guard;
  const fault = requestFault(request.raw);
  if (fault !== undefined) return new Problem('invalid', fault);
  const { access: asks = 'reader', dialect, everyRole = false } = request.routeOptions.config;
  if (request.is404 || asks === 'open') return undefined;
  if (!everyRole && !serves(role, asks === 'agent' ? 'agents' : 'readers')) {
    return new Problem('not_served', notServed(role));
  }
  const admitted = access.admit(request.raw, {
    // The page's own files hold no data: it asks for the token itself.
    right: isForPage(app, request) ? 'none' : asks,
    entrance: entranceOf(request),
    changes: changes(request),
    ...(dialect && { opensTo: dialect.opensTo }),
  });
  if ('refused' in admitted)
    return new Problem(admitted.refused, admitted.why, undefined, admitted.retryAfterMs || undefined);
  request.principal = admitted;
  return undefined;
}

/** Where a request comes in. */
export function entranceOf({ routeOptions }: FastifyRequest): Entrance {
  const { dialect } = routeOptions.config;
  if (dialect) return `dialect_${dialect.name}`;
  return routeOptions.url === '/metrics' ? 'metrics' : 'api';
}

/** Who asks. */
export const principalOf = ({ principal }: FastifyRequest): Principal => principal ?? ANONYMOUS;

/** Who asks, and from where. */
export const callerOf = (request: FastifyRequest, access: Access): Caller =>
  access.caller(request.raw, principalOf(request));

const changes = ({ method }: FastifyRequest): boolean => method !== 'GET' && method !== 'HEAD';
