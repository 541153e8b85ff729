import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { labelKeySchema, STATUSES } from '../../../shared/index.ts';
import type { Fleet } from '../../fleet/fleet.ts';
import { exampleInstant } from '../docs/examples.ts';
import { describe } from '../operation.ts';
import { Problem } from '../problem.ts';
import { queryOf, read } from '../read.ts';
import { requireView } from './nodes.ts';
import { summaryAnswerSchema } from './schemas.ts';

/** Labels that one summary counts by. */
const MOST_LABELS = 16;
const labelsSchema = z.object({ by: z.array(labelKeySchema).max(MOST_LABELS) });

/** `GET /api/v1/summary`: counts of the view, and who holds a lease. */
export function summaryRoute(app: FastifyInstance, fleet: Fleet): void {
  app.get(
    '/api/v1/summary',
    describe({
      id: 'summarize',
      summary: 'Counts by status, kind, location and labels, and the hubs with their sessions',
      tag: 'Nodes',
      door: 'read',
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
      const status = index.counts('status');
      const { state, since } = fleet.state;
      const answer = {
        total: index.size,
        status: Object.fromEntries(STATUSES.map((one) => [one, status.get(one) ?? 0])),
        kind: Object.fromEntries(index.counts('kind')),
        location: Object.fromEntries(index.counts('location')),
        labels: Object.fromEntries(by.map((label) => [label, Object.fromEntries(index.counts({ label }))])),
        hubs: (await fleet.store.leases()).map(({ lease }) => lease),
        hub: { hubId: fleet.hubId, state, since },
      };
      return reply.send(answer);
    },
  );
}

function labelsOf(query: URLSearchParams): string[] {
  const asked = query.getAll('by').flatMap((text) => text.split(','));
  for (const key of query.keys()) {
    if (key !== 'by') throw new Problem('invalid', `${key}: there is no such field`, key);
  }
  const wrong = asked.find((text) => !text.startsWith('label:'));
  if (wrong !== undefined) throw new Problem('invalid', `by: ${wrong} is not written as label:name`, 'by');
  return read(labelsSchema, { by: asked.map((text) => text.slice('label:'.length)) }).by;
}
