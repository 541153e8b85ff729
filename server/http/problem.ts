import type { FastifyReply } from 'fastify';

/** Codes of problems under `/api/v1`. */
export type ProblemCode =
  | 'not_found'
  | 'invalid'
  | 'unauthenticated'
  | 'forbidden'
  | 'method_not_allowed'
  | 'not_ready'
  | 'store_away'
  | 'internal';

/** Answers with problem details (RFC 9457) and a code that programs can switch on. */
export function problem(
  reply: FastifyReply,
  status: number,
  code: ProblemCode,
  detail: string,
  path?: string,
): FastifyReply {
  const body = {
    type: 'about:blank',
    title: titles[code],
    status,
    code,
    detail,
    ...(path !== undefined && { path }),
  };
  return reply.code(status).type('application/problem+json').send(body);
}

const titles: Record<ProblemCode, string> = {
  not_found: 'Not found',
  invalid: 'Invalid request',
  unauthenticated: 'Not authenticated',
  forbidden: 'Not allowed',
  method_not_allowed: 'Method not allowed',
  not_ready: 'Not ready',
  store_away: 'The store is out of reach',
  internal: 'Internal error',
};
