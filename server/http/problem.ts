import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { printable } from '../../shared/index.ts';
import type { Unwritten } from '../fleet/registrar.ts';
import { NOT_YOUR_NODE } from '../rules/claim.ts';

/** Codes of problems under `/api/v1`, for programs to switch on. They never change their meaning. */
export const problemCodeSchema = z.enum([
  /** A field is wrong; `path` names it. */
  'invalid',
  'bad_json',
  'unauthenticated',
  'forbidden',
  'not_found',
  /** A heartbeat of a node that is not registered: register first. */
  'not_registered',
  'method_not_allowed',
  /** This hub serves agents only, or dashboards only: another one serves this. */
  'not_served',
  /** The node has a newer session: register again, if this is the right machine. */
  'superseded',
  /** A heartbeat without a session for a node whose agent holds a socket. */
  'not_http',
  /** The node's agent has a stronger proof of identity than this request: a token, where this one has none. */
  'not_your_node',
  /** The node no longer meets the request's precondition; nothing was done. */
  'precondition_failed',
  /** Other writers change this node at the same moment, repeatedly: try again. */
  'contended',
  /** The log does not reach back to the cursor: read the nodes afresh. */
  'gap',
  'too_large',
  'unsupported_media_type',
  /** Too many requests of this kind; `Retry-After` is the time to wait. */
  'rate_limited',
  /** The fleet has its limit of nodes. */
  'fleet_full',
  /** Too many agents come at once, the hub is late with its work, or readers' unread bytes are at the limit. */
  'busy',
  /** The hub is still loading its view; try again in a second. */
  'not_ready',
  /** The hub cannot reach its store; try again. */
  'store_away',
  'stopping',
  'internal',
]);
export type ProblemCode = z.infer<typeof problemCodeSchema>;

const kinds: Record<ProblemCode, { status: number; title: string }> = {
  invalid: { status: 400, title: 'Invalid request' },
  bad_json: { status: 400, title: 'Not JSON' },
  unauthenticated: { status: 401, title: 'Not authenticated' },
  forbidden: { status: 403, title: 'Not allowed' },
  not_found: { status: 404, title: 'Not found' },
  not_registered: { status: 404, title: 'Not registered' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  superseded: { status: 409, title: 'A newer session speaks for this node' },
  not_your_node: { status: 403, title: 'Not your node' },
  not_http: { status: 409, title: 'This node beats over its socket' },
  precondition_failed: { status: 412, title: 'Not as it was asked for' },
  contended: { status: 429, title: 'Too many changes of this node' },
  gap: { status: 410, title: 'The log does not reach back that far' },
  not_served: { status: 421, title: 'Not served by this hub' },
  too_large: { status: 413, title: 'Too large' },
  unsupported_media_type: { status: 415, title: 'JSON only' },
  rate_limited: { status: 429, title: 'Too many requests' },
  fleet_full: { status: 503, title: 'The fleet is full' },
  busy: { status: 503, title: 'The hub is busy' },
  internal: { status: 500, title: 'Internal error' },
  not_ready: { status: 503, title: 'Not ready' },
  store_away: { status: 503, title: 'The store is out of reach' },
  stopping: { status: 503, title: 'The hub is shutting down' },
};

/** The HTTP status that a code goes with. */
export const statusOf = (code: ProblemCode): number => kinds[code].status;

/** Problem details (RFC 9457). */
export const problemSchema = z.object({
  type: z.literal('about:blank'),
  title: z.string(),
  status: z.number().int(),
  code: problemCodeSchema,
  detail: z.string(),
  /** The wrong field, as `node.labels.zone` or the name of a query parameter. */
  path: z.string().exactOptional(),
});

/** A request that cannot be answered; each protocol sends it in its own form. */
export class Problem extends Error {
  override name = 'Problem';
  readonly code: ProblemCode;
  readonly path: string | undefined;
  /** The time to wait before another attempt, if known. */
  readonly retryAfterMs: number | undefined;

  constructor(code: ProblemCode, detail: string, path?: string, retryAfterMs?: number) {
    // Both may quote the request, and a terminal may show them.
    super(printable(detail));
    this.code = code;
    this.path = path === undefined ? undefined : printable(path);
    this.retryAfterMs = retryAfterMs;
  }

  get status(): number {
    return kinds[this.code].status;
  }
}

/** The problem for a change of a node that was not written. */
export function unwrittenProblem(why: Unwritten): Problem {
  if (why === 'not_your_node') return notYourNode();
  return why === 'contended'
    ? new Problem('contended', 'others change this node at the same moment: try again')
    : new Problem('store_away', 'the hub cannot reach its store');
}

/** The caller has a weaker proof of identity than the node's agent. */
export const notYourNode = (): Problem => new Problem('not_your_node', NOT_YOUR_NODE);

/** The time to wait after a failure on the hub's side. */
const RETRY_AFTER_MS = 1_000;

/** Sets `Retry-After` if another attempt may help. */
export function setRetryAfter(reply: FastifyReply, { status, retryAfterMs }: Problem): void {
  if (status !== 503 && status !== 429) return;
  void reply.header('Retry-After', String(Math.ceil((retryAfterMs ?? RETRY_AFTER_MS) / 1_000)));
}

/** Answers with problem details. */
export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  const { code, message: detail, path, status } = problem;
  setRetryAfter(reply, problem);
  if (status === 401) void reply.header('WWW-Authenticate', 'Bearer');
  const body = {
    type: 'about:blank',
    title: kinds[code].title,
    status,
    code,
    detail,
    ...(path !== undefined && { path }),
  };
  return reply.code(status).type('application/problem+json').send(body);
}
