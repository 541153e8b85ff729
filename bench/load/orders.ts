import { z } from 'zod';

const beat = z.enum(['ping', 'stats']);
const agentDialect = z.enum(['bare', 'rollcall', 'socket-io', 'mqtt', 'http']);
const dashboardDialect = z.enum(['rollcall', 'plain-socket-io', 'plain-ws', 'mqtt']);

/** What a load process is told. Ports are where its agents connect, in turn. */
export const loadOrder = z.discriminatedUnion('do', [
  z.object({
    do: z.literal('connect'),
    dialect: agentDialect,
    ports: z.array(z.number()).min(1),
    count: z.number(),
    prefix: z.string(),
    keepAliveSeconds: z.number().default(0),
  }),
  /** All agents at once, without a goodbye; `first` of them, from `from` on. */
  z.object({ do: z.literal('reset'), from: z.number(), count: z.number() }),
  z.object({ do: z.literal('drop') }),
  /** Heartbeats as fast as they are answered, with as many under way as keep the p99 below the limit. */
  z.object({ do: z.literal('saturate'), beat, p99Ms: z.number() }),
  z.object({ do: z.literal('pace'), beat, perSecond: z.number() }),
  z.object({ do: z.literal('mark') }),
  z.object({ do: z.literal('read') }),
  z.object({ do: z.literal('rest') }),
  /** One last ping of each agent, so many milliseconds apart, and then silence. */
  z.object({ do: z.literal('last-ping'), spacingMs: z.number() }),
  z.object({ do: z.literal('ping-all') }),
  /** Whoever is lost waits until somebody listens, and comes back at once with all others. */
  z.object({ do: z.literal('herd'), port: z.number() }),
  /** Whoever is lost comes back at one of the ports with full jitter. */
  z.object({ do: z.literal('jitter'), ports: z.array(z.number()).min(1), ceilingMs: z.number() }),
  z.object({ do: z.literal('returned') }),
  z.object({ do: z.literal('change'), perSecond: z.number() }),
  z.object({
    do: z.literal('dashboards'),
    dialect: dashboardDialect,
    port: z.number(),
    count: z.number(),
    stalled: z.number().default(0),
    /** `names`: which nodes were lost, and when. `latency`: how old the markers in the changes are. */
    watch: z.enum(['names', 'latency']),
  }),
  z.object({ do: z.literal('seen'), clear: z.boolean().default(false) }),
  z.object({ do: z.literal('seen-count') }),
  z.object({ do: z.literal('stalled') }),
  /** A dashboard that comes, until it has all nodes. */
  z.object({ do: z.literal('picture'), dialect: dashboardDialect, port: z.number(), nodes: z.number() }),
]);
export type LoadOrder = z.input<typeof loadOrder>;

const packed = z.array(z.tuple([z.number(), z.number()]));

/** What happened since `mark`, on this process' side. */
export const readingSchema = z.object({
  ms: z.number(),
  answered: z.number(),
  /** Agents that a fixed pace had to pass over, because their last beat was not answered yet. */
  late: z.number(),
  lost: z.number(),
  underWay: z.number(),
  cpuMicros: z.number(),
  latency: packed,
  deliveries: z.number(),
  deliveredBytes: z.number(),
  deliveryLatency: packed,
  changesSent: z.number(),
});
export type Reading = z.output<typeof readingSchema>;

/** How those that were lost came back. Times are those of `sharedNow`. */
export const returnedSchema = z.object({
  agents: z.number(),
  joined: z.number(),
  listenAt: z.number(),
  at99: z.number(),
  lastAt: z.number(),
  lost: z.number(),
  refusals: z.array(z.tuple([z.string(), z.number()])),
});

export const pictureSchema = z.object({ ms: z.number(), bytes: z.number(), nodes: z.number() });

export const seenSchema = z.array(z.tuple([z.string(), z.string(), z.number()]));
