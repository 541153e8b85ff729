import { z } from 'zod';
import {
  type FleetNode,
  type HeartbeatTiming,
  type LiveStats,
  type NodeFacts,
  nodeFactsSchema,
} from '../../../shared/index.ts';
import type { Access } from '../../access.ts';
import type { Fleet } from '../../fleet/fleet.ts';
import type { Answer, Described, describe } from '../operation.ts';
import { read } from '../read.ts';

/** What the routes of one dialect work with. */
export interface Dialect {
  fleet: Fleet;
  access: Access;
  timing: HeartbeatTiming;
  /** Fastify's route options of one operation. */
  route(operation: Omit<Described, 'tag'>): ReturnType<typeof describe>;
}

/** Facts in our own words, checked like those of any agent. Throws a `Problem`. */
export function readFacts(facts: z.input<typeof nodeFactsSchema>): NodeFacts {
  return read(nodeFactsSchema, facts);
}

/** Live figures of many nodes are asked for so many at a time. */
const STATS_PAGE = 500;

/** Nodes with when they last beat; from their records where the store is out of reach. */
export async function lastSeen(fleet: Fleet, nodes: readonly FleetNode[]): Promise<Map<string, string>> {
  const seen = new Map<string, string>();
  for (let from = 0; from < nodes.length; from += STATS_PAGE) {
    const page = nodes.slice(from, from + STATS_PAGE);
    const stats = await fleet.stats(page).catch(() => new Map<string, LiveStats>());
    for (const node of page) {
      const at = stats.get(node.id)?.lastHeartbeatAt ?? node.evidence.lastHeartbeatAt ?? node.statusSince;
      seen.set(node.id, at);
    }
  }
  return seen;
}

/** An answer of a dialect as the documentation tells it. */
export function answer(description: string, example: unknown, schema: z.ZodType = z.looseObject({})): Answer {
  return { description, schema, example };
}
