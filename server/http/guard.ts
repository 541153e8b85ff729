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
    /** The caller's identity; null until the request was admitted. */
    principal: Principal | null;
  }
}

interface Guard {
  access: Access;
  role: Role;
}

/**
 * Checks each request before its content is read: whether this hub serves it, and the requirements of the route's
 * access: a local name if the hub has no tokens, the page's origin for a change, and a token. An unknown address is 404
 * for every caller.
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
    // The page's own files hold no data: the page itself asks for the token.
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

/** The entrance of a request. */
export function entranceOf({ routeOptions }: FastifyRequest): Entrance {
  const { dialect } = routeOptions.config;
  if (dialect) return `dialect_${dialect.name}`;
  return routeOptions.url === '/metrics' ? 'metrics' : 'api';
}

/** The caller's identity. */
export const principalOf = ({ principal }: FastifyRequest): Principal => principal ?? ANONYMOUS;

/** The caller's identity and address. */
export const callerOf = (request: FastifyRequest, access: Access): Caller =>
  access.caller(request.raw, principalOf(request));

const changes = ({ method }: FastifyRequest): boolean => method !== 'GET' && method !== 'HEAD';
