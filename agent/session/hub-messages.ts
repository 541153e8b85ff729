import { z } from 'zod';
import { moveMessageSchema, stayMessageSchema, TIMEOUT_INTERVALS } from '../../shared/index.ts';
import { HUB_BOUNDS } from './hub-bounds.ts';

/*
 * What an agent reads of what hubs say. Of a registration it needs who it is and when to beat; the rest is for
 * people, and a newer hub may have words there (a status, a reason, a code) that this agent does not know.
 */

const { shortestIntervalMs, longestTimeoutMs, wordsLength } = HUB_BOUNDS;

/** No hub can make an agent beat without a pause, or hardly ever. */
const intervalMs = z
  .number()
  .int()
  .min(shortestIntervalMs)
  .max(longestTimeoutMs / TIMEOUT_INTERVALS);
const timeoutMs = z.number().int().min(shortestIntervalMs).max(longestTimeoutMs);
const timingSchema = z.object({ intervalMs, timeoutMs });

/** What people read is cut, so that no hub fills a log. */
const words = z.string().transform((text) => text.slice(0, wordsLength));

const registeredSchema = z.object({
  type: z.literal('registered'),
  nodeId: z.string().max(wordsLength),
  /** The fencing token of this session: a secret between agent and hub. */
  session: z.string().max(wordsLength),
  reregistered: z.boolean(),
  createdAt: words,
  heartbeat: timingSchema,
  /** The whole node as the hub shows it, in that hub's words. */
  node: z.record(z.string(), z.unknown()).default({}),
});

/** The hub's answer to a registration, as far as an agent relies on it. */
export type Registered = z.output<typeof registeredSchema>;

const errorSchema = z.object({
  type: z.literal('error'),
  code: words,
  message: words,
  path: words.exactOptional(),
});

/** A message that the hub answered with an error; `code` is one of the protocol's, or a newer hub's. */
export type HubError = z.output<typeof errorSchema>;

/** Everything that a hub sends to an agent, besides pong frames. */
export const hubMessageSchema = z.discriminatedUnion('type', [
  registeredSchema,
  z.object({ type: z.literal('heartbeat'), intervalMs, timeoutMs }),
  moveMessageSchema,
  stayMessageSchema,
  errorSchema,
]);
export type HubMessage = z.output<typeof hubMessageSchema>;
