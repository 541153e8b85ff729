import type { Duplex } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { KNOWN_HEADER } from '../../shared/index.ts';
import { type Access, bearer, type Verdict } from '../edge/access.ts';
import type { Entrance, Refusals } from '../edge/refusals.ts';
import { requestFault } from '../edge/request-faults.ts';
import { notServed, type Role, serves } from '../edge/serves.ts';
import { TOO_MANY_WRONG, type WrongTokens } from '../edge/wrong-tokens.ts';
import { type Caller, NOBODY, type Principal } from '../rules/principal.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Door } from './operation.ts';
import { isForPage } from './page.ts';
import { Problem } from './problem.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; nobody yet before the token was looked at. */
    principal: Principal | null;
  }
}

interface Guard {
  access: Access;
  role: Role;
  clock: Clock;
  wrongTokens: WrongTokens;
  refusals: Refusals;
  /** A right token came on this connection, or none was needed. */
  known: (socket: Duplex) => void;
}

const words: Record<Exclude<Door, 'open'>, string> = {
  read: 'this token may register, not read',
  agent: 'this token may read, not register',
  admin: 'this needs one of ADMIN_TOKENS',
};

/**
 * Checks who comes before anything of the request is read: whether this hub serves them, a local name where the hub has no tokens, the page's
 * origin where something would be changed, and the token that the route's door asks for. What does not exist
 * is 404 for everybody.
 */
export function guardDoors(app: FastifyInstance, guard: Guard): void {
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
  const { door = 'read', dialect, everyRole = false } = request.routeOptions.config;
  if (request.is404 || door === 'open') return undefined;
  if (!everyRole && !serves(role, door === 'agent' ? 'agents' : 'readers')) {
    return new Problem('not_served', notServed(role));
  }
  if (!access.hostAllowed(request.raw)) {
    return new Problem('forbidden', 'a hub without tokens answers to localhost only');
  }
  if (changes(request) && !access.originAllowed(request.raw)) {
    return new Problem('forbidden', 'this origin is not allowed');
  }
  // The page's own files hold no data: it asks for the token itself.
  if (isForPage(app, request)) return undefined;
  const answer = judge(access, door, bearer(request.raw));
  if (typeof answer !== 'string') {
    request.principal = answer;
    guard.known(request.raw.socket);
    return undefined;
  }
  // Whoever shows a token there all the same is who it says.
  if (dialect?.opensTo(access.peerAddress(request.raw))) return undefined;
  guard.refusals.note(entranceOf(request), answer, access.peerAddress(request.raw));
  if (answer === 'forbidden') return new Problem('forbidden', words[door]);
  return notAuthenticated(request, answer, guard);
}

/** Where a request comes in. */
export function entranceOf({ routeOptions }: FastifyRequest): Entrance {
  const { dialect } = routeOptions.config;
  if (dialect) return `dialect_${dialect.name}`;
  return routeOptions.url === '/metrics' ? 'metrics' : 'api';
}

/** Who asks. */
export const principalOf = ({ principal }: FastifyRequest): Principal => principal ?? NOBODY;

/** Who asks, and from where. */
export function callerOf(request: FastifyRequest, access: Access): Caller {
  const known = request.headers[KNOWN_HEADER] === '1';
  return { remoteAddress: access.remoteAddress(request.raw), principal: principalOf(request), known };
}

function notAuthenticated(
  request: FastifyRequest,
  verdict: Verdict,
  { access, clock, wrongTokens }: Guard,
): Problem {
  const waitMs = wrongTokens.count(access.peerAddress(request.raw), clock.now());
  if (waitMs > 0) return new Problem('rate_limited', TOO_MANY_WRONG, undefined, waitMs);
  return new Problem('unauthenticated', `the token is ${verdict}`);
}

const changes = ({ method }: FastifyRequest): boolean => method !== 'GET' && method !== 'HEAD';

function judge(access: Access, door: Exclude<Door, 'open'>, token: string | undefined): Principal | Verdict {
  switch (door) {
    case 'read':
      return access.dashboard(token);
    case 'agent':
      return access.agent(token);
    case 'admin':
      return access.admin(token);
    default:
      return door satisfies never;
  }
}
