import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { fleetEventSchema, LIMITS, printableLines } from '../../shared/index.ts';
import type { ApiClient, Io } from './api-client.ts';
import { CommandFailure, EXIT } from './failure.ts';
import { table } from './print.ts';

/** Events that are asked for at once. */
const PAGE = 1_000;
const LOOK_EVERY_MS = 500;

/** A node, as far as these commands look into it. */
export const nodeSchema = z.looseObject({ id: z.string(), status: z.string() });
const eventsSchema = z.looseObject({
  events: z.array(fleetEventSchema),
  cursor: z.string().max(LIMITS.cursorLength),
  more: z.boolean(),
});

/** The path of a node. */
export const nodePath = (id: string): string => `/api/v1/nodes/${encodeURIComponent(id)}`;

/** Waits until a node has a status, or `removed`; answers with what it is at the end. */
export async function waitFor(
  api: ApiClient,
  id: string,
  wanted: string,
  timeoutMs: number,
): Promise<string> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const status = await api.get(nodePath(id), nodeSchema).then(
      (node) => node.status,
      (error: unknown) => {
        if (error instanceof CommandFailure && error.exitCode === EXIT.none) return 'removed';
        throw error;
      },
    );
    if (status === wanted || performance.now() >= deadline)
      return status === 'removed' && wanted !== 'removed' ? 'not there' : status;
    await pause(Math.min(LOOK_EVERY_MS, Math.max(1, deadline - performance.now())));
  }
}

/** Prints events from a cursor on, or from now on, until there were enough or nobody reads them. */
export async function followEvents(
  api: ApiClient,
  flags: { since?: string; limit?: string; json?: boolean },
  io: Io,
): Promise<void> {
  const most = flags.limit === undefined ? Number.POSITIVE_INFINITY : Number(flags.limit);
  if (!(most >= 1)) throw new CommandFailure(EXIT.usage, '--limit is a whole number from 1');
  let cursor = flags.since;
  let isRead = true;
  void io.readerGone().then(() => {
    isRead = false;
  });
  for (let told = 0; told < most && isRead; ) {
    const query = new URLSearchParams({ limit: String(Math.min(PAGE, most - told)) });
    if (cursor !== undefined) query.set('since', cursor);
    const page = await api.get(`/api/v1/events?${query}`, eventsSchema);
    ({ cursor } = page);
    for (const event of page.events) {
      told += 1;
      const { at, nodeId, type, from, to, reason } = event;
      io.out(
        flags.json
          ? `${printableLines(JSON.stringify(event))}\n`
          : table([], [[at, nodeId, type, `${from ?? '-'} -> ${to ?? '-'}`, reason]]).trimStart(),
      );
    }
    // A page without events promises more in vain.
    if (!(page.more && page.events.length > 0) && told < most) await pause(LOOK_EVERY_MS);
  }
}
