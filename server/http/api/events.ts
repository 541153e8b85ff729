import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { durationSchema, type FleetEvent } from '../../../shared/index.ts';
import { SAFE_HEADERS } from '../../edge/safe-headers.ts';
import type { FleetReader } from '../../fleet/ports.ts';
import type { EventLog } from '../../picture/event-log.ts';
import type { Position } from '../../store/fleet-store.ts';
import { exampleCursor, exampleEvent } from '../docs/examples.ts';
import { listText, sendLong } from '../long-answer.ts';
import { describe } from '../operation.ts';
import { Problem } from '../problem.ts';
import { queryOf, read } from '../read.ts';
import { type EventStreams, sseEvent } from './event-streams.ts';
import { requireView } from './nodes.ts';
import { eventsAnswerSchema, eventsQuerySchema, limitSchema } from './schemas.ts';

const querySchema = z.strictObject({ since: eventsQuerySchema.shape.since, limit: limitSchema });

export interface EventRouteParts {
  fleet: FleetReader;
  streams: EventStreams;
}

/** `GET /api/v1/events`: the log as pages of JSON, or as a live stream. */
export function eventRoutes(app: FastifyInstance, { fleet, streams }: EventRouteParts): void {
  app.get(
    '/api/v1/events',
    describe({
      id: 'readEvents',
      summary: 'What happened: pages of the log, or a live stream',
      description:
        'Without `since` from now on; `since` is a cursor, an instant, or a duration back from now such as `1h`. With `Accept: text/event-stream` a live stream: events are named by their `type`, `Last-Event-ID` resumes, `resync` says that events may have been missed, and a comment comes every 15 s. The cursor is that of Socket.IO subscriptions without a filter.',
      tag: 'Events',
      access: 'reader',
      query: eventsQuerySchema,
      headers: z.object({ 'last-event-id': z.string().exactOptional() }),
      answers: {
        200: [
          {
            description: 'Events in order, and the cursor after the last of them',
            schema: eventsAnswerSchema,
            example: { events: [exampleEvent], cursor: exampleCursor, more: false },
          },
          {
            description: 'The live stream',
            type: 'text/event-stream',
            schema: z.string(),
            example: sseEvent('registered', exampleEvent, exampleCursor),
          },
        ],
      },
      problems: ['invalid', 'gap', 'not_ready', 'store_away', 'busy'],
    }),
    async (request, reply) => {
      requireView(fleet);
      const query = read(querySchema, Object.fromEntries(queryOf(request.url)));
      const { log } = streams;
      const since = (wantsStream(request) && lastEventId(request)) || query.since;
      const start = await startOf(since, log, fleet.now());
      if (wantsStream(request)) {
        if (streams.full) throw new Problem('busy', 'this hub takes no more streams now');
        reply.hijack();
        return begin(streams, reply.raw, start);
      }
      if (start.from === undefined) return reply.send({ events: [], cursor: log.now(), more: false });
      const page = start.from === 'gap' ? { kind: 'gap' as const } : await log.page(start.from, query.limit);
      if (page.kind === 'gap') {
        throw new Problem('gap', 'the log does not reach back to this cursor: read the nodes afresh');
      }
      const { events, positions, more } = page;
      const { keptSince } = start;
      const rest = () => ({
        cursor: log.codec.encode(positions),
        more,
        ...(keptSince !== undefined && { keptSince }),
      });
      return sendLong(reply, fleet.slices, listText('events', textsOf(events), rest));
    },
  );
}

function* textsOf(events: readonly FleetEvent[]): Generator<string, void> {
  for (const event of events) yield JSON.stringify(event);
}

/** The start of a reader: undefined for now. */
interface Start {
  from: Position[] | 'gap' | undefined;
  keptSince?: string;
}

/** Parses `since`: a cursor, an instant, or a duration back from now. */
async function startOf(since: string | undefined, log: EventLog, nowMs: number): Promise<Start> {
  if (since === undefined) return { from: undefined };
  if (log.codec.isOurs(since)) return { from: await log.locate(since) };
  const duration = durationSchema.safeParse(since);
  const instant = Date.parse(z.iso.datetime({ offset: true }).safeParse(since).data ?? '');
  const atMs = duration.success ? nowMs - duration.data : instant;
  if (Number.isNaN(atMs))
    throw new Problem('invalid', 'since: is no cursor of the whole log, no instant and no duration', 'since');
  const { positions, keptSince } = await log.since(Math.max(0, atMs));
  return {
    from: positions,
    ...(keptSince !== undefined && { keptSince: new Date(keptSince).toISOString() }),
  };
}

const wantsStream = ({ headers }: FastifyRequest): boolean =>
  /\btext\/event-stream\b/.test(headers.accept ?? '');

function lastEventId({ headers }: FastifyRequest): string | undefined {
  const id = headers['last-event-id'];
  return typeof id === 'string' && id !== '' ? id : undefined;
}

async function begin(
  streams: EventStreams,
  response: ServerResponse,
  { from, keptSince }: Start,
): Promise<void> {
  // A stream has no end: only its unread bytes show that the client is gone.
  response.socket?.setTimeout(0);
  response.writeHead(200, {
    ...SAFE_HEADERS,
    'Content-Type': 'text/event-stream; charset=utf-8',
    'X-Accel-Buffering': 'no',
  });
  response.write('retry: 2000\n\n');
  const notKept = keptSince === undefined ? undefined : `events before ${keptSince} are not kept`;
  await streams.serve(response, from, notKept);
}
