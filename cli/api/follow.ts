import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { fleetEventSchema, LIMITS, printableLines } from '../../shared/index.ts';
import { UsageError } from '../usage-error.ts';
import type { ApiClient, Io } from './api-client.ts';
import { CommandFailure, EXIT } from './failure.ts';
import { getNode } from './node-reference.ts';
import { table } from './print.ts';
import { readCount } from './select.ts';

/** Events that are asked for at once. */
const PAGE = 1_000;
const LOOK_EVERY_MS = 500;

const eventsSchema = z.looseObject({
  events: z.array(fleetEventSchema),
  cursor: z.string().max(LIMITS.cursorLength),
  more: z.boolean(),
});

/** The cursor of an earlier run, as far as it can be told here. Throws `UsageError`. */
export function readSince(text: string): string {
  if (text.length <= LIMITS.cursorLength && /^[\w-]{16,}$/.test(text)) return text;
  throw new UsageError('--since: is not a cursor; `curl …/api/v1/events` tells the newest');
}

/** Waits until a node has a status, or `removed`; answers with what it is at the end. */
export async function waitFor(
  api: ApiClient,
  reference: string,
  wanted: string,
  timeoutMs: number,
): Promise<string> {
  const deadline = performance.now() + timeoutMs;
  let id: string | undefined;
  for (;;) {
    const status = await getNode(api, id ?? reference).then(
      (node) => {
        id = node.id;
        return node.status;
      },
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
  flags: { since?: string; limit?: string; json?: boolean; node?: string },
  io: Io,
): Promise<void> {
  const most = readCount('--limit', flags.limit) ?? Number.POSITIVE_INFINITY;
  const only = flags.node === undefined ? undefined : (await getNode(api, flags.node)).id;
  let cursor = flags.since;
  let isRead = true;
  void io.readerGone().then(() => {
    isRead = false;
  });
  for (let told = 0; told < most && isRead; ) {
    const query = new URLSearchParams({
      limit: String(only === undefined ? Math.min(PAGE, most - told) : PAGE),
    });
    if (cursor !== undefined) query.set('since', cursor);
    const page = await api.get(`/api/v1/events?${query}`, eventsSchema);
    ({ cursor } = page);
    for (const event of page.events) {
      if ((only !== undefined && event.nodeId !== only) || told >= most) continue;
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
