import { z } from 'zod';
import {
  evidenceSchema,
  instantSchema,
  nodeSchema,
  nodeSummarySchema,
  reasonSchema,
  statusSchema,
} from './node.ts';

export const eventTypeSchema = z.enum(['registered', 'reregistered', 'status', 'updated', 'removed']);
export type EventType = z.infer<typeof eventTypeSchema>;

const eventFields = {
  /** The node's own version: 1, 2, 3 … without holes. */
  seq: z.number().int().positive(),
  type: eventTypeSchema,
  nodeId: z.string(),
  at: instantSchema,
  /** Null for `registered`. */
  from: statusSchema.nullable(),
  /** Null for `removed`; equal to `from` when the status did not change. */
  to: statusSchema.nullable(),
  reason: reasonSchema,
  evidence: evidenceSchema,
};

/** One change of one node. `node` is the whole record after it (for `removed`, before it). */
export const fleetEventSchema = z.object({ ...eventFields, node: nodeSchema });
export type FleetEvent = z.output<typeof fleetEventSchema>;

/** A change as a dashboard gets it: `left` means that the node no longer matches the dashboard's filter. */
export const dashboardEventSchema = z.object({
  ...eventFields,
  node: z.union([nodeSchema, nodeSummarySchema]),
  left: z.literal(true).exactOptional(),
});
export type DashboardEvent = z.output<typeof dashboardEventSchema>;

/**
 * Whether a version is missing before this event of a node whose version `known` was the last. A record that was put back
 * after a loss may begin anywhere, and so may a registration: its node may have been removed long ago.
 */
export function isHole(
  { type, reason, seq }: Pick<FleetEvent, 'type' | 'reason' | 'seq'>,
  known: number | undefined,
): boolean {
  if (reason === 'store_restored') return false;
  if (known === undefined) return type !== 'registered';
  return seq !== known + 1;
}
