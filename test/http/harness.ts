import { z } from 'zod';
import { nodeSchema } from '../../shared/index.ts';
import { registerAgent, registerMessage } from '../support/test-fleet.ts';
import type { TestHub } from '../support/test-hub.ts';

export const pageSchema = z.strictObject({
  nodes: z.array(nodeSchema),
  count: z.number(),
  total: z.number(),
  nextCursor: z.string().nullable(),
});
export type Page = z.output<typeof pageSchema>;

const problemSchema = z.strictObject({
  type: z.literal('about:blank'),
  title: z.string().min(1),
  status: z.number(),
  code: z.string(),
  detail: z.string().min(1).max(1_000),
  path: z.string().optional(),
});

/** A page of the list; fails the test where the answer is another. */
export async function list(hub: TestHub, query = ''): Promise<Page> {
  const response = await hub.fetch(`/api/v1/nodes${query}`);
  if (response.status !== 200) throw new Error(`answered ${response.status}: ${await response.text()}`);
  return pageSchema.parse(await response.json());
}

export const ids = ({ nodes }: Page): string[] => nodes.map(({ id }) => id);

/** The problem that a request is answered with, its status checked against the body. */
export async function problemOf(response: Response): Promise<z.output<typeof problemSchema>> {
  const type = response.headers.get('Content-Type');
  if (!type?.startsWith('application/problem+json')) throw new Error(`the answer is ${type}`);
  const problem = problemSchema.parse(await response.json());
  if (problem.status !== response.status) throw new Error('the status is not that of the body');
  return problem;
}

/** Registers nodes without sockets: only their records matter here. */
export async function register(hub: TestHub, ...nodes: Array<Record<string, unknown> & { nodeId: string }>) {
  return Promise.all(nodes.map((node) => registerAgent(hub.hub.fleet, registerMessage(node))));
}
