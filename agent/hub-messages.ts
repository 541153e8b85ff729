import { z } from 'zod';
import { heartbeatMessageSchema, heartbeatTimingSchema } from '../shared/index.ts';

/*
 * What an agent reads of what hubs say. Of a registration it needs who it is and when to beat; the rest is for
 * people, and a newer hub may have words there (a status, a reason, a code) that this agent does not know.
 */

const registeredSchema = z.object({
  type: z.literal('registered'),
  nodeId: z.string(),
  /** The fencing token of this session: a secret between agent and hub. */
  session: z.string(),
  reregistered: z.boolean(),
  createdAt: z.string(),
  heartbeat: heartbeatTimingSchema,
  /** The whole node as the hub shows it, in that hub's words. */
  node: z.record(z.string(), z.unknown()).default({}),
});

/** The hub's answer to a registration, as far as an agent relies on it. */
export type Registered = z.output<typeof registeredSchema>;

const errorSchema = z.object({
  type: z.literal('error'),
  code: z.string(),
  message: z.string(),
  path: z.string().exactOptional(),
});

/** A message that the hub answered with an error; `code` is one of the protocol's, or a newer hub's. */
export type HubError = z.output<typeof errorSchema>;

/** Everything that a hub sends to an agent, besides pong frames. */
export const hubMessageSchema = z.discriminatedUnion('type', [
  registeredSchema,
  heartbeatMessageSchema,
  errorSchema,
]);
export type HubMessage = z.output<typeof hubMessageSchema>;
