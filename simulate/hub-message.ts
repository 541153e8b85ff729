import { z } from 'zod';
import { agentErrorSchema, heartbeatMessageSchema, registeredSchema } from '../shared/index.ts';

/** What a simulated agent reads of the hub's messages: of `registered` not the whole node, for the load's sake. */
const schema = z.discriminatedUnion('type', [
  registeredSchema.pick({ type: true, hubTime: true, heartbeat: true }),
  heartbeatMessageSchema,
  agentErrorSchema,
]);
export type HeardMessage = z.output<typeof schema>;

/** Nothing for a message of another type, or a broken one. */
export function readHubMessage(text: string): HeardMessage | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
