import { z } from 'zod';
import { figuresSchema } from '../../server/http/metrics/group-metrics.ts';

const statusSchema = z.object({
  wanted: z.number(),
  running: z.number(),
  ready: z.number(),
  open: z.boolean(),
});

/** What a worker tells the primary. */
export const workerMessageSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('listening'), url: z.string(), ready: z.boolean() }),
  z.object({ type: z.literal('ready'), ready: z.boolean() }),
  /** How many agents it holds. */
  z.object({ type: z.literal('load'), agents: z.number() }),
  /** It cannot start, and why, as a command says it. */
  z.object({ type: z.literal('failed'), exitCode: z.number(), message: z.string() }),
  /** This worker's `/metrics` is being read. */
  z.object({ type: z.literal('scrape'), id: z.number() }),
  z.object({ type: z.literal('figures'), id: z.number(), figures: figuresSchema }),
]);
export type WorkerMessage = z.infer<typeof workerMessageSchema>;

/** What the primary tells a worker. */
export const primaryMessageSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('group'), status: statusSchema }),
  /** So many of its agents are to come again: another worker has too few. */
  z.object({ type: z.literal('move'), agents: z.number() }),
  z.object({ type: z.literal('collect'), id: z.number() }),
  z.object({ type: z.literal('scraped'), id: z.number(), text: z.string() }),
  /** Read the settings again that may change. */
  z.object({ type: z.literal('reload') }),
  z.object({ type: z.literal('stop') }),
]);
export type PrimaryMessage = z.infer<typeof primaryMessageSchema>;
