import type { FleetEvent } from '../../../shared/index.ts';
import type { LogPlace } from '../fleet-store.ts';
import type { RedisClient } from './redis-client.ts';
import { type RedisLink, WrongTypeError } from './redis-link.ts';
import { asList, type Context, type RawEntry, toEvent, toRawEntry } from './replies.ts';

/** Entries of one shard's log, newest first, read in pages. */
async function* newestFirst(
  link: RedisLink,
  shard: number,
  eventsKey: string,
  pageSize: number,
): AsyncGenerator<RawEntry> {
  let end = '+';
  for (;;) {
    const read = link.run(shard, (client) => client.xrevrange(eventsKey, end, '-', 'COUNT', pageSize));
    // A key of another type holds no events; the next tick of the shard puts it aside.
    const page = asList(
      await read.catch((error: unknown) => {
        if (error instanceof WrongTypeError) return [];
        throw error;
      }),
    );
    const entries = page.map(toRawEntry);
    yield* entries;
    const last = entries.at(-1);
    if (last === undefined || entries.length < pageSize) return;
    end = `(${last.at}`;
  }
}

/** The newest events of one node, as far as its shard's log reaches. */
export async function historyOfNode(
  link: RedisLink,
  { shard, eventsKey, id, limit }: { shard: number; eventsKey: string; id: string; limit: number },
  context: Context,
): Promise<FleetEvent[]> {
  const events: FleetEvent[] = [];
  for await (const entry of newestFirst(link, shard, eventsKey, 200)) {
    if (entry.field('nodeId') !== id) continue;
    const event = toEvent(entry, context);
    if (!event) continue;
    events.push(event);
    // Nothing comes before the first version.
    if (events.length >= limit || event.seq === 1) break;
  }
  return events;
}

/** The last entry before a time, from which a reader continues; ids of entries begin with Redis' time. */
export async function placeOfTime(
  link: RedisLink,
  shard: number,
  eventsKey: string,
  atMs: number,
): Promise<LogPlace> {
  const one = async (read: (client: RedisClient) => Promise<unknown>): Promise<RawEntry | undefined> => {
    const [entry] = asList(await link.run(shard, read));
    return entry === undefined ? undefined : toRawEntry(entry);
  };
  const before = atMs > 0 && (await one((client) => client.xrevrange(eventsKey, atMs - 1, '-', 'COUNT', 1)));
  if (before) return { at: before.at, keptSince: undefined };
  const first = await one((client) => client.xrange(eventsKey, '-', '+', 'COUNT', 1));
  if (!first || !(await wasTrimmed(link, shard, eventsKey))) return { at: '0-0', keptSince: undefined };
  // A reader's position must still be present: so the first entry itself is left out.
  return { at: first.at, keptSince: Number.parseInt(first.at, 10) + 1 };
}

/** Whether entries were ever removed from a log's beginning. */
async function wasTrimmed(link: RedisLink, shard: number, eventsKey: string): Promise<boolean> {
  const info = asList(await link.run(shard, (client) => client.xinfo('STREAM', eventsKey)));
  const fieldOf = (name: string): unknown => info[info.indexOf(name) + 1];
  return fieldOf('entries-added') !== fieldOf('length');
}

/** The newest events of the fleet: every shard's log is read backwards, always at the newest head. */
export async function historyOfFleet(
  link: RedisLink,
  eventsKeys: readonly string[],
  limit: number,
  context: Context,
): Promise<FleetEvent[]> {
  const pageSize = Math.max(10, Math.ceil((2 * limit) / eventsKeys.length));
  const logs = eventsKeys.map((eventsKey, shard) => newestFirst(link, shard, eventsKey, pageSize));
  const nextOf = async (log: AsyncGenerator<RawEntry>) => {
    for (;;) {
      const { value, done } = await log.next();
      if (done) return undefined;
      const event = toEvent(value, context);
      if (event) return { log, event };
    }
  };
  const heads = (await Promise.all(logs.map(nextOf))).filter((head) => head !== undefined);
  const events: FleetEvent[] = [];
  while (events.length < limit && heads.length > 0) {
    const newest = heads.reduce(
      (best, head, index) => (head.event.at > (heads[best]?.event.at ?? '') ? index : best),
      0,
    );
    const head = heads[newest];
    if (!head) break;
    events.push(head.event);
    const next = await nextOf(head.log);
    if (next) heads[newest] = next;
    else heads.splice(newest, 1);
  }
  return events;
}
