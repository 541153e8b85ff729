import type { FastifyContextConfig, FastifySchema } from 'fastify';
import { z } from 'zod';
import type { Right } from '../edge/access.ts';
import type { DialectName } from '../edge/dialects.ts';
import { type ProblemCode, problemSchema, statusOf } from './problem.ts';

/** The right that an operation requires; `open`: none. */
type OperationAccess = Right | 'open';

/** The security schemes of the OpenAPI document. */
const SCHEME: Readonly<Record<Right, string>> = { reader: 'read', agent: 'agent', admin: 'admin' };

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Default: `reader`. */
    access?: OperationAccess;
    /** Served by a hub of every role, regardless of its access. */
    everyRole?: boolean;
    /** A registration: it passes the agents' admission. */
    registers?: boolean;
    /** Called even if the body is unreadable: `unreadable` of the request is the reason. */
    takesUnreadable?: boolean;
    /** The dialect of a route, if it is not Rollcall's own: it has its own tokens and errors. */
    dialect?: DialectFace;
    /** The operation for its documentation: handlers parse their input by zod, which names the wrong field. */
    documented?: FastifySchema;
  }
}

/** The app's interface to a dialect. */
export interface DialectFace {
  name: DialectName;
  /** Whether this address needs no token. */
  opensTo(remoteAddress: string): boolean;
  /** An error in the shape of the dialect. */
  error(status: number, code: ProblemCode, message: string): unknown;
}

export interface Answer {
  description: string;
  schema: z.ZodType;
  example: unknown;
  /** Default: `application/json`. */
  type?: string;
}

/** One operation of the API, as described in its OpenAPI document. */
export interface Described {
  id: string;
  summary: string;
  description?: string;
  tag: string;
  access: OperationAccess;
  /** Served by a hub of every role, regardless of its access. */
  everyRole?: boolean;
  /** A registration: it passes the agents' admission. */
  registers?: boolean;
  /** A heartbeat: it counts even if its body is unreadable; the answer then names the fault. */
  heartbeat?: boolean;
  params?: z.ZodType;
  query?: z.ZodType;
  headers?: z.ZodType;
  body?: { schema: z.ZodType; examples: Readonly<Record<string, unknown>> };
  answers: Readonly<Record<number, Answer | readonly Answer[]>>;
  /** Besides the ones that every operation has. */
  problems?: readonly ProblemCode[];
  /** Errors of a dialect: status to meaning. */
  errors?: Readonly<Record<number, Answer>>;
}

/** A zod schema as JSON Schema 2020-12, in the form of OpenAPI 3.1 and AsyncAPI 3. */
export function jsonSchemaOf(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return json;
}

/** The problems that any operation with these parts may answer. */
function commonProblems({ access, everyRole, registers, params, body }: Described): ProblemCode[] {
  const behind: ProblemCode[] = access === 'open' ? [] : ['unauthenticated', 'forbidden', 'rate_limited'];
  if (access !== 'open' && !everyRole) behind.push('not_served');
  const withBody: ProblemCode[] = body ? ['bad_json', 'too_large', 'unsupported_media_type'] : [];
  if (registers) behind.push('busy', 'fleet_full');
  const withPath: ProblemCode[] = params ? ['invalid'] : [];
  return [...behind, ...withPath, ...withBody, 'stopping', 'internal'];
}

function problemAnswers(codes: readonly ProblemCode[]): Record<string, unknown> {
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of new Set(codes))
    byStatus.set(statusOf(code), [...(byStatus.get(statusOf(code)) ?? []), code]);
  return Object.fromEntries(
    Array.from(byStatus, ([status, all]) => [
      status,
      {
        description: all.join(', '),
        content: {
          'application/problem+json': {
            schema: jsonSchemaOf(problemSchema, 'output'),
            examples: Object.fromEntries(
              all.map((code) => [
                code,
                {
                  value: { type: 'about:blank', title: 'What it is', status, code, detail: 'What happened.' },
                },
              ]),
            ),
          },
        },
      },
    ]),
  );
}

function content(answers: readonly Answer[]): Record<string, unknown> {
  return Object.fromEntries(
    answers.map(({ type = 'application/json', schema, example }) => [
      type,
      { schema: jsonSchemaOf(schema, 'output'), examples: { example: { value: example } } },
    ]),
  );
}

function plainAnswers(answers: Described['answers']): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(answers).map(([status, answer]) => {
      const all = Array.isArray(answer) ? answer : [answer];
      return [status, { description: all[0]?.description ?? 'An answer', content: content(all) }];
    }),
  );
}

/** A route's options for an operation: its access, and its documentation. */
export function describe(operation: Described): { config: FastifyContextConfig } {
  const { id, summary, description, tag, access, params, query, headers, body, answers, errors } = operation;
  const problems = errors
    ? plainAnswers(errors)
    : problemAnswers([...(operation.problems ?? []), ...commonProblems(operation)]);
  const documented: FastifySchema = {
    operationId: id,
    summary,
    ...(description && { description }),
    tags: [tag],
    security: access === 'open' ? [] : [{ [SCHEME[access]]: [] }, {}],
    ...(params && { params: jsonSchemaOf(params, 'input') }),
    ...(query && { querystring: jsonSchemaOf(query, 'input') }),
    ...(headers && { headers: jsonSchemaOf(headers, 'input') }),
    ...(body && {
      body: {
        content: {
          'application/json': {
            schema: { ...jsonSchemaOf(body.schema, 'input'), examples: Object.values(body.examples) },
          },
        },
      },
    }),
    response: { ...plainAnswers(answers), ...problems },
  };
  const { everyRole = false, registers = false, heartbeat = false } = operation;
  return {
    config: {
      access,
      documented,
      ...(everyRole && { everyRole }),
      ...(registers && { registers }),
      ...(heartbeat && { takesUnreadable: true }),
    },
  };
}
