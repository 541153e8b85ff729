import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Access, bearer, type Verdict } from '../access.ts';
import { notServed, type Role, serves } from '../roles.ts';
import type { Door } from './operation.ts';
import { isForPage } from './page.ts';
import { Problem } from './problem.ts';

const refusals: Record<Exclude<Door, 'open'>, string> = {
  read: 'this token may register, not read',
  agent: 'this token may read, not register',
  admin: 'this needs one of ADMIN_TOKENS',
};

/**
 * Checks who comes before anything of the request is read: whether this hub serves them, a local name where the hub has no tokens, the page's
 * origin where something would be changed, and the token that the route's door asks for. What does not exist
 * is 404 for everybody.
 */
export function guardDoors(app: FastifyInstance, access: Access, role: Role): void {
  // A callback, not a promise: this runs before every heartbeat.
  app.addHook('onRequest', (request, _reply, next) => {
    next(refusalOf(app, request, access, role));
  });
}

function refusalOf(
  app: FastifyInstance,
  request: FastifyRequest,
  access: Access,
  role: Role,
): Problem | undefined {
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
  if (dialect?.opensTo(access.peerAddress(request.raw))) return undefined;
  const verdict = judge(access, door, bearer(request.raw));
  if (verdict === 'forbidden') return new Problem('forbidden', refusals[door]);
  if (verdict !== 'ok') return new Problem('unauthenticated', `the token is ${verdict}`);
  return undefined;
}

const changes = ({ method }: FastifyRequest): boolean => method !== 'GET' && method !== 'HEAD';

function judge(access: Access, door: Exclude<Door, 'open'>, token: string | undefined): Verdict {
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
