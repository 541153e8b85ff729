import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { labelKeySchema, STATUSES } from '../../../shared/index.ts';
import type { HttpFleet } from '../../fleet/ports.ts';
import type { NodeIndex } from '../../picture/node-index.ts';
import { exampleInstant } from '../docs/examples.ts';
import { sendLong } from '../long-answer.ts';
import { describe } from '../operation.ts';
import { Problem } from '../problem.ts';
import { queryOf, read } from '../read.ts';
import { requireView } from './nodes.ts';
import { summaryAnswerSchema } from './schemas.ts';

/** Labels that one summary counts by. */
const MOST_LABELS = 16;
const labelsSchema = z.object({ by: z.array(labelKeySchema).max(MOST_LABELS) });

/** `GET /api/v1/summary`: counts of the view, and the hubs that hold a lease. */
export function summaryRoute(app: FastifyInstance, fleet: HttpFleet): void {
  app.get(
    '/api/v1/summary',
    describe({
      id: 'summarize',
      summary: 'Counts by status, kind, location and labels, and the hubs with their sessions',
      tag: 'Nodes',
      access: 'reader',
      query: z.object({
        by: z.array(z.string()).exactOptional().describe('`label:zone`; repeated for several labels'),
      }),
      answers: {
        200: {
          description: 'Nodes without a kind, location or label are only in `total`',
          schema: summaryAnswerSchema,
          example: {
            total: 3,
            status: { online: 2, degraded: 0, unreachable: 0, offline: 1 },
            kind: { hypervisor: 3 },
            location: {},
            labels: { zone: { 'us-east-1a': 3 } },
            hubs: [{ hubId: 'hub-1a2b3c4d', address: '127.0.0.1:8080', sessions: 2, version: '0.1.0' }],
            hub: { hubId: 'hub-1a2b3c4d', state: 'live', since: exampleInstant },
          },
        },
      },
      problems: ['invalid', 'not_ready', 'store_away'],
    }),
    async (request, reply) => {
      requireView(fleet);
      const by = labelsOf(queryOf(request.url));
      const index = await fleet.view.lists.open();
      const { state, since } = fleet.state;
      const rest = {
        hubs: (await fleet.store.leases()).map(({ lease }) => lease),
        hub: { hubId: fleet.hubId, state, since },
      };
      return sendLong(reply, fleet.slices, summaryText(index, by, rest));
    },
  );
}

/** A fleet may have as many kinds, locations and values of a label as nodes: the text is made entry by entry. */
async function* summaryText(
  index: NodeIndex,
  by: readonly string[],
  rest: object,
): AsyncGenerator<string, void> {
  const status = index.counts('status');
  const counted = STATUSES.map((one): [string, number] => [one, status.get(one) ?? 0]);
  yield `{"total":${index.size},"status":${JSON.stringify(Object.fromEntries(counted))},"kind":`;
  yield* countsText(index.counts('kind'));
  yield ',"location":';
  yield* countsText(index.counts('location'));
  yield ',"labels":{';
  for (const [place, label] of by.entries()) {
    yield `${place > 0 ? ',' : ''}${JSON.stringify(label)}:`;
    yield* countsText(index.counts({ label }));
  }
  yield `},${JSON.stringify(rest).slice(1)}`;
}

function* countsText(counts: Iterable<[string, number]>): Generator<string, void> {
  let before = '{';
  for (const [value, count] of counts) {
    yield `${before}${JSON.stringify(value)}:${count}`;
    before = ',';
  }
  yield before === '{' ? '{}' : '}';
}

function labelsOf(query: URLSearchParams): string[] {
  const asked = query.getAll('by').flatMap((text) => text.split(','));
  for (const key of query.keys()) {
    if (key !== 'by') throw new Problem('invalid', `${key}: there is no such field`, key);
  }
  const wrong = asked.find((text) => !text.startsWith('label:'));
  if (wrong !== undefined) throw new Problem('invalid', `by: ${wrong} is not written as label:name`, 'by');
  const { by } = read(labelsSchema, { by: asked.map((text) => text.slice('label:'.length)) });
  return [...new Set(by)];
}
