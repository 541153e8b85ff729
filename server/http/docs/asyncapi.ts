import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import {
  AGENT_PATH,
  agentErrorSchema,
  changesSchema,
  DASHBOARD_PATH,
  deregisterSchema,
  heartbeatMessageSchema,
  heartbeatSetSchema,
  historyAnswerSchema,
  historyRequestSchema,
  hubStateSchema,
  liveStatsSchema,
  moveMessageSchema,
  nodeAnswerSchema,
  nodeFactsSchema,
  nodeRequestSchema,
  refusalSchema,
  registeredSchema,
  registerSchema,
  resyncSchema,
  snapshotSchema,
  statsMessageSchema,
  stayMessageSchema,
  subscribedSchema,
  subscribeSchema,
  watchSchema,
} from '../../../shared/index.ts';
import { VERSION } from '../../runtime/version.ts';
import { describe, jsonSchemaOf } from '../operation.ts';
import { StaticAnswer } from '../static-answer.ts';

type Direction = 'receive' | 'send';

interface Message {
  name: string;
  summary: string;
  schema: z.ZodType;
  /** From the hub's side: it receives from clients, and sends to them. */
  hub: Direction;
  /** The hub's answer to this very message, as a Socket.IO acknowledgement. */
  ack?: z.ZodType;
}

interface Channel {
  id: string;
  address: string;
  title: string;
  description: string;
  messages: readonly Message[];
}

const statsPushSchema = z.object({ stats: z.record(z.string(), liveStatsSchema) });

const channels: readonly Channel[] = [
  {
    id: 'agent',
    address: AGENT_PATH,
    title: 'Agents',
    description:
      'One WebSocket for each agent. Text frames, one JSON object each; `Authorization: Bearer` where tokens are set. A ping frame every heartbeat interval keeps the node online; the hub answers with a pong.',
    messages: [
      {
        name: 'register',
        summary: 'Who this is: the first message; again on a live session, it updates the node',
        schema: registerSchema.extend({ node: nodeFactsSchema.out }),
        hub: 'receive',
      },
      {
        name: 'stats',
        summary: 'Live figures, as good as a ping; not answered',
        schema: statsMessageSchema,
        hub: 'receive',
      },
      {
        name: 'deregister',
        summary: 'The node is to be removed; answered with close 1000',
        schema: deregisterSchema,
        hub: 'receive',
      },
      {
        name: 'heartbeat_set',
        summary: 'The answer to heartbeat, from agents that announce the feature; not answered',
        schema: heartbeatSetSchema,
        hub: 'receive',
      },
      { name: 'registered', summary: 'The registration stands', schema: registeredSchema, hub: 'send' },
      {
        name: 'heartbeat',
        summary: "The node's timing from now on",
        schema: heartbeatMessageSchema,
        hub: 'send',
      },
      {
        name: 'move',
        summary: 'The hub cannot reach its store: register elsewhere, and keep this session until then',
        schema: moveMessageSchema,
        hub: 'send',
      },
      {
        name: 'stay',
        summary: 'The hub reaches its store again',
        schema: stayMessageSchema,
        hub: 'send',
      },
      {
        name: 'error',
        summary: 'One message was wrong; the session goes on',
        schema: agentErrorSchema,
        hub: 'send',
      },
    ],
  },
  {
    id: 'dashboard',
    address: DASHBOARD_PATH,
    title: 'Dashboards',
    description:
      'Socket.IO 4 on the namespace /, WebSocket transport only, the token in `auth: {token}`. Messages are Socket.IO events of these names.',
    messages: [
      {
        name: 'subscribe',
        summary: 'Follow the nodes that match a filter',
        schema: subscribeSchema,
        hub: 'receive',
        ack: z.union([subscribedSchema, refusalSchema]),
      },
      { name: 'unsubscribe', summary: 'No more changes', schema: z.object({}), hub: 'receive' },
      {
        name: 'watch',
        summary: 'Live figures of these nodes, at most once a second',
        schema: watchSchema,
        hub: 'receive',
      },
      {
        name: 'node',
        summary: 'One node with its live figures',
        schema: nodeRequestSchema,
        hub: 'receive',
        ack: z.union([nodeAnswerSchema, refusalSchema]),
      },
      {
        name: 'history',
        summary: 'The newest events, newest first',
        schema: historyRequestSchema,
        hub: 'receive',
        ack: z.union([historyAnswerSchema, refusalSchema]),
      },
      {
        name: 'snapshot',
        summary: 'A page of the first picture; whole after remaining: 0',
        schema: snapshotSchema,
        hub: 'send',
      },
      {
        name: 'changes',
        summary: 'A batch of events, and the cursor after them',
        schema: changesSchema,
        hub: 'send',
      },
      {
        name: 'resync',
        summary: 'Changes may have been missed: subscribe afresh',
        schema: resyncSchema,
        hub: 'send',
      },
      {
        name: 'hub',
        summary: 'Whether the hub sees its store, and how many hubs there are',
        schema: hubStateSchema,
        hub: 'send',
      },
      {
        name: 'statsPush',
        summary: 'Live figures of watched nodes (event `stats`)',
        schema: statsPushSchema,
        hub: 'send',
      },
    ],
  },
];

const ref = (path: string) => ({ $ref: `#/${path}` });

const schemaOf = (schema: z.ZodType, hub: Direction) =>
  jsonSchemaOf(schema, hub === 'receive' ? 'input' : 'output');

function channelOf({ address, title, description, messages }: Channel) {
  const all = messages.flatMap(({ name, summary, schema, hub, ack }) => [
    [
      name,
      {
        name: name === 'statsPush' ? 'stats' : name,
        summary,
        contentType: 'application/json',
        payload: schemaOf(schema, hub),
      },
    ],
    ...(ack
      ? [
          [
            `${name}Ack`,
            {
              name: `${name}Ack`,
              summary: `The answer to ${name}`,
              contentType: 'application/json',
              payload: schemaOf(ack, 'send'),
            },
          ],
        ]
      : []),
  ]);
  return { address, title, description, servers: [ref('servers/hub')], messages: Object.fromEntries(all) };
}

function operationsOf({ id, messages }: Channel) {
  const channel = ref(`channels/${id}`);
  return messages.map(({ name, summary, hub, ack }) => [
    `${id}.${name}`,
    {
      action: hub,
      channel,
      summary,
      messages: [ref(`channels/${id}/messages/${name}`)],
      ...(ack && { reply: { channel, messages: [ref(`channels/${id}/messages/${name}Ack`)] } }),
    },
  ]);
}

/** The AsyncAPI 3 document of both sockets, made from the schemas that read their messages. */
function asyncApiDocument(): Record<string, unknown> {
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Rollcall sockets',
      version: VERSION,
      description: 'As the hub sees them: it receives what clients send.',
      license: { name: 'MIT' },
    },
    defaultContentType: 'application/json',
    servers: {
      hub: { host: '127.0.0.1:8080', protocol: 'ws', description: 'A hub where it listens by default' },
    },
    channels: Object.fromEntries(channels.map((channel) => [channel.id, channelOf(channel)])),
    operations: Object.fromEntries(channels.flatMap(operationsOf)),
  };
}

/** `GET /asyncapi.json`. */
export function asyncApiRoute(app: FastifyInstance): void {
  const document = new StaticAnswer('application/json; charset=utf-8', () =>
    JSON.stringify(asyncApiDocument()),
  );
  app.get(
    '/asyncapi.json',
    describe({
      id: 'describeSockets',
      summary: 'The AsyncAPI 3 document of the two sockets',
      tag: 'Hub',
      access: 'open',
      answers: {
        200: {
          description: 'The document',
          schema: z.record(z.string(), z.unknown()),
          example: { asyncapi: '3.0.0', info: { title: 'Rollcall sockets', version: '0.1.0' } },
        },
      },
    }),
    (request, reply) => document.send(request, reply),
  );
}
