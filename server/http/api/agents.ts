import type { FastifyInstance, FastifyRequest } from 'fastify';
import { v5 as uuidV5 } from 'uuid';
import type { z } from 'zod';
import {
  AGENT_PROTOCOL,
  type Dropped,
  fitNode,
  fitStats,
  type HeartbeatTiming,
  LIMITS,
  type NodeStats,
  namedOf,
  type ReadStats,
  type Register,
  type Registered,
  readConditions,
} from '../../../shared/index.ts';
import type { Access } from '../../edge/access.ts';
import type { HttpHeartbeatOutcome } from '../../fleet/http-agents.ts';
import type { HttpFleet } from '../../fleet/ports.ts';
import type { Held } from '../../fleet/registrar.ts';
import { instant } from '../../runtime/clock.ts';
import { exampleInstant, exampleNode, exampleSession, exampleStats } from '../docs/examples.ts';
import { callerOf, principalOf } from '../guard.ts';
import { describe } from '../operation.ts';
import { notYourNode, Problem, unwrittenProblem } from '../problem.ts';
import { readLeniently } from '../read.ts';
import {
  compiledHeartbeatSchema,
  heartbeatAnswerSchema,
  heartbeatBodySchema,
  nodeParamsSchema,
  registerBodyDocSchema,
  registerBodySchema,
  registeredAnswerSchema,
} from './schemas.ts';

const INSTANCES = uuidV5('rollcall.http.instance', uuidV5.URL);

/**
 * The instance of an agent that does not name one: its address. The same machine that registers again is then
 * `reconnected`, another one with the same id while the first still beats is `superseded`.
 */
const instanceOf = (remoteAddress: string): string => uuidV5(remoteAddress, INSTANCES);

/** A registration in the form of the socket's protocol. */
function registerMessage(
  {
    instanceId,
    heartbeat,
    node,
  }: Pick<Register, 'node'> & Partial<Pick<Register, 'instanceId' | 'heartbeat'>>,
  remoteAddress: string,
): Register {
  return {
    type: 'register',
    protocol: AGENT_PROTOCOL,
    instanceId: instanceId ?? instanceOf(remoteAddress),
    ...(heartbeat && { heartbeat }),
    node,
  };
}

/** A refusal as a problem; a taken heartbeat is returned. Throws a `Problem`. */
export function takenOrProblem(
  outcome: HttpHeartbeatOutcome,
): Extract<HttpHeartbeatOutcome, { kind: 'taken' }> {
  switch (outcome.kind) {
    case 'taken':
      return outcome;
    case 'unknown':
      throw new Problem('not_registered', 'there is no such node: register first');
    case 'superseded':
      throw new Problem('superseded', 'another session speaks for this node: register again');
    case 'not-http':
      throw new Problem(
        'not_http',
        "this node's agent holds a socket: only a heartbeat with its session counts",
      );
    case 'not-yours':
      throw notYourNode();
    case 'busy':
      throw unwrittenProblem(outcome.kind);
    default:
      return outcome satisfies never;
  }
}

/** Stats of at most 8 KiB, and the JSON for the store; what does not fit is dropped. */
function fittingStats(
  read: NodeStats,
  dropped: Dropped[],
  body: unknown,
): ReadStats & { stats: NodeStats; json: string } {
  const json = JSON.stringify(read);
  let stats = read;
  if (Buffer.byteLength(json) > LIMITS.statsBytes) {
    const fitting = fitStats(read);
    dropped.push(...fitting.dropped);
    stats = fitting.stats;
  }
  const raw =
    dropped.length > 0 && typeof body === 'object' && body && 'stats' in body ? body.stats : undefined;
  const settled = readConditions(stats, dropped, raw);
  return { ...settled, json: settled.stats === read ? json : JSON.stringify(settled.stats) };
}

const REGISTER_REQUIRED = new Set(['node', 'node.hostname', 'node.nodeId']);

/** The body of a registration; a node that is too large loses its optional fields. Throws a `Problem`. */
function readRegistration(body: unknown, dropped: Dropped[]): z.output<typeof registerBodySchema> {
  const required = REGISTER_REQUIRED;
  try {
    return readLeniently(registerBodySchema, body, { required, dropped });
  } catch (error) {
    // The node as a whole is wrong, so that it is not parsed field by field: too large, or no node at all.
    const isWhole = error instanceof Problem && error.path === 'node';
    if (!isWhole || typeof body !== 'object' || body === null || !('node' in body)) throw error;
    return readFitting({ ...body, node: body.node }, error, dropped);
  }
}

function readFitting(
  body: { node: unknown },
  problem: Problem,
  dropped: Dropped[],
): z.output<typeof registerBodySchema> {
  const fitting = fitNode(body.node);
  if (fitting.dropped.length === 0) throw problem;
  dropped.push(...fitting.dropped);
  return readLeniently(
    registerBodySchema,
    { ...body, node: fitting.node },
    { required: REGISTER_REQUIRED, dropped },
  );
}

/** The dropped fields, as a part of an answer. */
const droppedOf = (dropped: readonly Dropped[]) => (dropped.length > 0 ? { dropped: namedOf(dropped) } : {});

/** Registers the agent of a request; `timing` is its protocol's own. Throws a `Problem` if it is not written. */
export async function registerByRequest(
  { fleet, access }: { fleet: HttpFleet; access: Access },
  request: FastifyRequest,
  said: Parameters<typeof registerMessage>[0],
  timing?: HeartbeatTiming,
): Promise<Registered> {
  const caller = callerOf(request, access);
  const answer = await fleet.httpAgents.register(registerMessage(said, caller.remoteAddress), caller, timing);
  if (typeof answer === 'string') throw unwrittenProblem(answer);
  if ('type' in answer) return answer;
  const code = answer.code === 'fleet_full' ? 'fleet_full' : 'rate_limited';
  throw new Problem(code, HELD[answer.code], undefined, answer.retryAfterMs);
}

const HELD: Readonly<Record<Held['code'], string>> = {
  too_many_restarts: 'this node registers again and again: wait before the next time',
  too_many_new_nodes: 'too many new nodes were registered with this token',
  fleet_full: 'the fleet holds as many nodes as it may (MAX_NODES)',
};

/** `POST /api/v1/nodes` and `POST /api/v1/nodes/:id/heartbeat`: agents without a socket. */
export function agentRoutes(
  app: FastifyInstance,
  { fleet, access }: { fleet: HttpFleet; access: Access },
): void {
  const { type: _, ...registered } = {
    type: 'registered',
    nodeId: exampleNode.id,
    session: exampleSession,
    reregistered: false,
    createdAt: exampleNode.createdAt,
    hubTime: exampleInstant,
    heartbeat: exampleNode.heartbeat,
    node: exampleNode,
  };
  app.post(
    '/api/v1/nodes',
    describe({
      id: 'registerNode',
      registers: true,
      summary: 'Register an agent that holds no socket',
      description:
        'As `register` over a socket: the newest registration wins, and an open socket of the node is closed. `session` is the secret of this registration; sent with heartbeats, it keeps an older instance from speaking for the node.',
      tag: 'Agents',
      access: 'agent',
      body: {
        schema: registerBodyDocSchema,
        examples: {
          minimal: { node: { hostname: 'edge-7.local' } },
          full: {
            heartbeat: { intervalMs: 60_000 },
            node: { nodeId: 'edge-7', hostname: 'edge-7.local', kind: 'edge', labels: { zone: 'a' } },
          },
        },
      },
      answers: {
        200: {
          description: 'Registered again: the same id and createdAt',
          schema: registeredAnswerSchema,
          example: { ...registered, reregistered: true },
        },
        201: {
          description: 'Registered for the first time',
          schema: registeredAnswerSchema,
          example: registered,
        },
      },
      problems: ['invalid', 'not_your_node', 'contended', 'store_away'],
    }),
    async (request, reply) => {
      const dropped: Dropped[] = [];
      const said = readRegistration(request.body, dropped);
      const { type: __, ...answer } = await registerByRequest({ fleet, access }, request, said);
      return reply.code(answer.reregistered ? 200 : 201).send({ ...answer, ...droppedOf(dropped) });
    },
  );

  app.post<{ Params: { id: string } }>(
    '/api/v1/nodes/:id/heartbeat',
    describe({
      id: 'beat',
      summary: 'A heartbeat, with stats if there are some',
      description:
        'Written at once. Without `session` it counts only while the node is connected over HTTP, so that a plain request does not keep the node of a dead socket alive.',
      tag: 'Agents',
      access: 'agent',
      heartbeat: true,
      params: nodeParamsSchema,
      body: {
        schema: heartbeatBodySchema,
        examples: { plain: {}, full: { session: exampleSession, stats: exampleStats } },
      },
      answers: {
        200: {
          description: 'Taken',
          schema: heartbeatAnswerSchema,
          example: {
            nodeId: exampleNode.id,
            status: 'online',
            heartbeat: exampleNode.heartbeat,
            nextHeartbeatInMs: 10_000,
            hubTime: exampleInstant,
          },
        },
      },
      problems: ['invalid', 'not_registered', 'superseded', 'not_http', 'not_your_node', 'store_away'],
    }),
    async (request, reply) => {
      const { id } = request.params;
      const dropped: Dropped[] = [];
      const required = new Set<string>();
      const body = readLeniently(compiledHeartbeatSchema, request.body ?? {}, { required, dropped });
      const { session } = body;
      const fitting = body.stats && fittingStats(body.stats, dropped, request.body);
      const taken = takenOrProblem(
        await fleet.httpAgents.heartbeat({
          id,
          remoteAddress: () => access.remoteAddress(request.raw),
          principal: principalOf(request),
          ...(session !== undefined && { session }),
          ...fitting,
        }),
      );
      if (request.unreadable) throw request.unreadable;
      const { status, heartbeat } = taken.node;
      return reply.send({
        nodeId: id,
        status,
        heartbeat,
        nextHeartbeatInMs: taken.nextInMs,
        hubTime: instant(fleet.now()),
        ...droppedOf(dropped),
      });
    },
  );
}
