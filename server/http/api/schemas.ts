import { z } from 'zod';
import {
  fleetEventSchema,
  heartbeatTimingSchema,
  idSchema,
  instantSchema,
  LIMITS,
  liveStatsSchema,
  NODE_SORT_KEYS,
  nodeFactsSchema,
  nodeSchema,
  nodeSummarySchema,
  noneOf,
  registeredSchema,
  statsSchema,
  statusSchema,
} from '../../../shared/index.ts';

/** The API's requests and answers, beside the definitions in `shared`. */

const PAGE_LIMIT = { default: 100, most: 1_000 } as const;

const limitFault = `must be a whole number from 1 to ${PAGE_LIMIT.most}`;
export const limitSchema = z
  .string()
  .regex(/^\d{1,4}$/, limitFault)
  .transform(Number)
  .pipe(z.number().min(1, limitFault).max(PAGE_LIMIT.most, limitFault))
  .default(PAGE_LIMIT.default);

export const sortSchema = z.enum([...NODE_SORT_KEYS, ...NODE_SORT_KEYS.map((key) => `-${key}` as const)]);

export const nodeParamsSchema = z.object({ id: z.string().describe("The node's id") });

const listOf = <T extends z.ZodType>(item: T) => z.array(item).exactOptional();

/** A filter in a query, for the documentation; `filterFromQuery` parses it. */
const filterQueryShape = {
  status: listOf(statusSchema).describe('Any of these; repeated or a comma list'),
  kind: listOf(z.string()).describe('Any of these; repeated or a comma list. `%2C` is a comma in a value'),
  location: z.string().exactOptional(),
  label: listOf(z.string()).describe('A label as key=value; repeated, all must match'),
  pool: z.string().exactOptional(),
  q: z.string().exactOptional().describe('Part of the hostname, id or address; case does not matter'),
  ids: listOf(idSchema).describe('Any of these; repeated or a comma list'),
};

/** The query of `DELETE /nodes/:id`: what the node must still match. */
export const removalQuerySchema = z.object(filterQueryShape);

/** The choice of a list's content: a row of each name below, or single fields of it. The id is always included. */
const FIELDS = [...Object.keys(nodeSchema.shape), 'hubId', 'lastHeartbeatAt'];
const fieldsFault = (name: string): string => `${noneOf(name, ['full', 'summary', ...FIELDS])}`;
export const fieldsSchema = z
  .string()
  .default('full')
  .transform((text, context): 'full' | 'summary' | ReadonlySet<string> => {
    if (text === 'full' || text === 'summary') return text;
    const names = text.split(',');
    const wrong = names.find((name) => !FIELDS.includes(name));
    if (wrong === undefined) return new Set(names);
    context.addIssue({ code: 'custom', message: fieldsFault(wrong) });
    return z.NEVER;
  });

/** A node of a list with single fields. */
const partOfNodeSchema = z.object({
  ...nodeSchema.partial().shape,
  id: idSchema,
  hubId: z.string().exactOptional(),
  lastHeartbeatAt: instantSchema.nullable().exactOptional(),
});

/** The query of `GET /nodes`, for the documentation. */
export const nodesQuerySchema = z.object({
  ...filterQueryShape,
  sort: sortSchema.default('hostname').describe('- before the name for descending'),
  fields: z
    .string()
    .default('full')
    .describe(`full, summary, or a comma list of ${FIELDS.join(', ')}. The id is always there`),
  limit: z.number().int().min(1).max(PAGE_LIMIT.most).default(PAGE_LIMIT.default),
  cursor: z.string().exactOptional().describe('`nextCursor` of the page before'),
});

export const nodesAnswerSchema = z.object({
  nodes: z.array(z.union([nodeSchema, nodeSummarySchema, partOfNodeSchema])),
  count: z.number().int().describe('Nodes on this page'),
  total: z.number().int().describe('Nodes that match, on all pages'),
  nextCursor: z.string().nullable(),
});

export const nodeAnswerSchema = z.object({ ...nodeSchema.shape, stats: liveStatsSchema.exactOptional() });

export const removedAnswerSchema = z.object({ nodeId: idSchema, removed: z.literal(true) });

const countsSchema = z.record(z.string(), z.number().int());
const hubLeaseSchema = z.object({
  hubId: z.string(),
  address: z.string(),
  sessions: z.number().int(),
  version: z.string(),
});
export const summaryAnswerSchema = z.object({
  total: z.number().int(),
  status: z.record(statusSchema, z.number().int()),
  kind: countsSchema,
  location: countsSchema,
  labels: z.record(z.string(), countsSchema).describe('For each label that `by` names, nodes by its values'),
  hubs: z.array(hubLeaseSchema),
  hub: z.object({ hubId: z.string(), state: z.enum(['live', 'stale']), since: instantSchema }),
});

export const eventsQuerySchema = z.object({
  since: z
    .string()
    .max(LIMITS.cursorLength)
    .exactOptional()
    .describe(
      '`cursor` of the answer before; or a time: an instant, or a duration back from now such as `1h`',
    ),
  limit: z.number().int().min(1).max(PAGE_LIMIT.most).default(PAGE_LIMIT.default),
});
export const eventsAnswerSchema = z.object({
  events: z.array(fleetEventSchema),
  cursor: z.string().describe('Where to go on: `since` of the next request, or of a Socket.IO subscription'),
  more: z.boolean().describe('There is more already'),
  keptSince: instantSchema
    .exactOptional()
    .describe(
      'The log does not reach back to the time that was asked for: events before this one are not kept',
    ),
});

/** `POST /nodes`: the `register` message of the socket, without the fields that only a socket needs. */
export const registerBodySchema = z.object({
  instanceId: z.uuid().exactOptional(),
  heartbeat: z.object({ intervalMs: z.number().int().positive().max(86_400_000) }).exactOptional(),
  node: nodeFactsSchema,
});
/** The same for the documentation: without the guard in front of `nodeFactsSchema`. */
export const registerBodyDocSchema = registerBodySchema.extend({ node: nodeFactsSchema.out });

/** Invalid fields, which do not count; the rest of the request does. */
const droppedSchema = z
  .array(z.object({ code: z.enum(['invalid', 'too_large']), path: z.string(), message: z.string() }))
  .exactOptional()
  .describe('Fields that were wrong and were dropped, at most 8 of them; absent where there are none');

export const registeredAnswerSchema = registeredSchema
  .omit({ type: true })
  .extend({ dropped: droppedSchema });

export const heartbeatBodySchema = z.object({
  session: z.string().exactOptional(),
  stats: statsSchema.exactOptional(),
});
/** The hot message: compiled. Its size is checked where its stats become JSON anyway. */
export const compiledHeartbeatSchema = z.compile(heartbeatBodySchema, { strict: true });
export const heartbeatAnswerSchema = z.object({
  nodeId: idSchema,
  status: statusSchema,
  heartbeat: heartbeatTimingSchema,
  nextHeartbeatInMs: z.number().int(),
  hubTime: instantSchema,
  dropped: droppedSchema,
});
