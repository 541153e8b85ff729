import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import {
  type Dropped,
  type FleetNode,
  fitNode,
  fitStats,
  type HeartbeatTiming,
  LIMITS,
  type LiveStats,
  type NodeFacts,
  type NodeStats,
  nodeFactsSchema,
  statsSchema,
} from '../../../shared/index.ts';
import type { Access } from '../../edge/access.ts';
import type { HttpFleet } from '../../fleet/ports.ts';
import type { Answer, Described, DialectFace, describe } from '../operation.ts';
import { type ProblemCode, statusOf } from '../problem.ts';
import { readLeniently } from '../read.ts';

/** The context of one dialect's routes. */
export interface Dialect {
  fleet: HttpFleet;
  access: Access;
  timing: HeartbeatTiming;
  /** Fastify's route options of one operation. */
  route(operation: Omit<Described, 'tag'>): ReturnType<typeof describe>;
}

/** Names the dropped fields of a request. The bodies of dialects have no place for them. */
const DROPPED_HEADER = 'Rollcall-Dropped';

/**
 * Parses the messages of a dialect's agents: invalid fields are dropped and named in a header of the answer; the rest
 * counts.
 */
export class Reading {
  readonly #dropped: Dropped[] = [];

  /** A body by the schema of its dialect. Throws a `Problem` if a `required` field is invalid. */
  body<T extends z.ZodType>(schema: T, value: unknown, required: readonly string[] = []): z.output<T> {
    return readLeniently(schema, value, { required: new Set(required), dropped: this.#dropped });
  }

  /** Facts in Rollcall's form, checked like those of any agent. Throws a `Problem`. */
  facts(facts: z.input<typeof nodeFactsSchema>): NodeFacts {
    const { node, dropped } = fitNode(facts);
    this.#dropped.push(...dropped);
    return this.body(nodeFactsSchema, node, ['hostname', 'nodeId']);
  }

  /** Figures in Rollcall's form. */
  stats(stats: unknown): NodeStats {
    const fitting = fitStats(this.body(statsSchema, stats));
    this.#dropped.push(...fitting.dropped);
    return fitting.stats;
  }

  /** Names a field that says nothing. */
  drop(dropped: Dropped): void {
    this.#dropped.push(dropped);
  }

  /** Adds the dropped fields to the answer. */
  end(reply: FastifyReply): FastifyReply {
    if (this.#dropped.length === 0) return reply;
    const paths = new Set(this.#dropped.map(({ path }) => encodeURI(path)));
    const named = [...paths].slice(0, LIMITS.namedFaults).join(', ');
    const left = paths.size - LIMITS.namedFaults;
    return reply.header(DROPPED_HEADER, left > 0 ? `${named}; more=${left}` : named);
  }
}

/** Nodes whose live figures are read in one call. */
const STATS_PAGE = 500;

/** Nodes with the time of their last heartbeat; from their records if the store is out of reach. */
export async function lastSeen(fleet: HttpFleet, nodes: readonly FleetNode[]): Promise<Map<string, string>> {
  const stats = await fleet.stats(nodes).catch(() => new Map<string, LiveStats>());
  return new Map(
    nodes.map((node) => {
      const { lastHeartbeatAt } = stats.get(node.id) ?? {};
      return [node.id, lastHeartbeatAt ?? node.evidence.lastHeartbeatAt ?? node.statusSince];
    }),
  );
}

/** A whole fleet in the form of a dialect, as JSON: a few nodes at a time, as the client reads. */
export async function* textsOf(
  fleet: HttpFleet,
  nodes: readonly FleetNode[],
  shape: (node: FleetNode, seen: ReadonlyMap<string, string>) => unknown,
): AsyncGenerator<string, void> {
  for (let from = 0; from < nodes.length; from += STATS_PAGE) {
    const page = nodes.slice(from, from + STATS_PAGE);
    const seen = await lastSeen(fleet, page);
    for (const node of page) yield JSON.stringify(shape(node, seen));
  }
}

/** An answer of a dialect for its documentation. */
export function answer(description: string, example: unknown, schema: z.ZodType = z.looseObject({})): Answer {
  return { description, schema, example };
}

/** Errors that every operation of a dialect may answer, with their meaning. */
const ERRORS = {
  invalid: 'a field is wrong',
  unauthenticated: 'the token is missing',
  forbidden: 'this token may read, not register',
  not_registered: 'there is no such node: register first',
  not_http: "this node's agent holds a socket",
  too_large: 'Request body is too large',
  unsupported_media_type: 'send Content-Type: application/json',
  busy: 'too many agents come at once',
  fleet_full: 'the fleet holds as many nodes as it may (MAX_NODES)',
  rate_limited: 'too many came; Retry-After says when to try again',
  internal: 'the hub failed; its log says more',
  contended: 'others change this node at the same moment: try again',
  store_away: 'the hub cannot reach its store',
} as const satisfies Partial<Record<ProblemCode, string>>;

/** The errors of a dialect for its documentation, in the dialect's own form. */
export function errorAnswers(
  schema: z.ZodType,
  error: DialectFace['error'],
  said: Partial<Record<keyof typeof ERRORS, string>>,
): Record<number, Answer> {
  const answers: Record<number, Answer> = {};
  const add = (code: ProblemCode, message: string) => {
    const status = statusOf(code);
    answers[status] = answer(message, error(status, code, message), schema);
  };
  const texts = { ...ERRORS, ...said };
  for (const code of Object.keys(ERRORS)) if (isError(code)) add(code, texts[code]);
  return answers;
}

const isError = (code: string): code is keyof typeof ERRORS => Object.hasOwn(ERRORS, code);
