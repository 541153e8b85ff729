import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { Backoff } from '../../client/backoff.ts';
import {
  durationSchema,
  fleetEventSchema,
  instantSchema,
  LIMITS,
  normalHostname,
  printable,
  printableLines,
} from '../../shared/index.ts';
import { UsageError } from '../usage-error.ts';
import type { ApiClient, Io } from './api-client.ts';
import { CommandFailure, EXIT } from './failure.ts';
import { getNode } from './node-reference.ts';
import { table } from './print.ts';
import { readCount } from './select.ts';

/** What the command line says. */
export interface EventFlags {
  since?: string;
  limit?: string;
  json?: boolean;
  node?: string;
  once?: boolean;
}

/** Events that are asked for at once. */
const PAGE = 1_000;
const READ_EVERY_MS = 500;
/** Pauses before a hub that is away is asked again. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
/** The status of an answer to a cursor that the log does not reach back to. */
const GAP = 410;
/** The beginning of every log: what is asked for once a cursor is too old. */
const THE_BEGINNING = '1970-01-01T00:00:00.000Z';

const pageSchema = z.looseObject({
  events: z.array(fleetEventSchema),
  cursor: z.string().max(LIMITS.cursorLength),
  more: z.boolean(),
  keptSince: instantSchema.exactOptional(),
});
type Page = z.output<typeof pageSchema>;
type LogEvent = Page['events'][number];

/** A time, or the cursor of an earlier run, as far as it can be told here. Throws `UsageError`. */
export function readSince(text: string): string {
  const isCursor = text.length <= LIMITS.cursorLength && /^[\w-]{16,}$/.test(text);
  const isTime =
    durationSchema.safeParse(text).success || z.iso.datetime({ offset: true }).safeParse(text).success;
  if (isCursor || isTime) return text;
  throw new UsageError(
    '--since: is no duration such as 1h, no instant such as 2026-11-28T12:00:00Z, and no cursor of an earlier run',
  );
}

/**
 * Prints the events of the log from a cursor or a time on, else from now on, until there were enough or `ended` settles.
 * A hub that goes away is asked again until it is back. What the log no longer holds is said. At the end the cursor is
 * printed, to go on from.
 */
export async function followEvents(
  api: ApiClient,
  flags: EventFlags,
  io: Io,
  ended: Promise<unknown>,
): Promise<void> {
  const most = readCount('--limit', flags.limit) ?? Number.POSITIVE_INFINITY;
  const ending = new AbortController();
  const end = (): void => ending.abort();
  ended.then(end, end);
  const log = new LogReader(api, io, ending.signal);
  const { node } = flags;
  const isWanted = node === undefined ? undefined : await log.patiently(() => eventsOf(api, node));
  const printed = flags.json ? asJson : asText;
  let cursor = flags.since;
  for (let told = 0; told < most && !ending.signal.aborted; ) {
    const page = await log.after(cursor, isWanted ? PAGE : Math.min(PAGE, most - told));
    if (!page) break;
    const { events } = page;
    for (const [index, event] of events.entries()) {
      if ((isWanted && !isWanted(event)) || told >= most) continue;
      told += 1;
      // Within a page, going on from where it began brings some events again, and misses none.
      io.out(printed(event, index === events.length - 1 ? page.cursor : page.begunAt));
    }
    cursor = page.cursor;
    // A page without events promises more in vain.
    if (page.more && events.length > 0) continue;
    if (flags.once) break;
    if (told < most) await log.rest(READ_EVERY_MS);
  }
  if (cursor !== undefined && !flags.json) io.err(`rollcall: to go on: --since ${printable(cursor)}\n`);
}

/** Which events are of a node. One that was removed is known by what its events say: its id, or its host name. */
async function eventsOf(api: ApiClient, reference: string): Promise<(event: LogEvent) => boolean> {
  try {
    const { id } = await getNode(api, reference);
    return ({ nodeId }) => nodeId === id;
  } catch (error) {
    if (!(error instanceof CommandFailure) || error.exitCode !== EXIT.none) throw error;
    const spelling = normalHostname(reference);
    return ({ nodeId, node }) => nodeId === reference || normalHostname(node.hostname) === spelling;
  }
}

/** Reads the log of a hub, also while the hub is away. What is missing is said on `io.err`. */
class LogReader {
  readonly #api: ApiClient;
  readonly #io: Io;
  readonly #ending: AbortSignal;
  readonly #backoff = new Backoff(FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
  #reached = false;

  constructor(api: ApiClient, io: Io, ending: AbortSignal) {
    this.#api = api;
    this.#io = io;
    this.#ending = ending;
  }

  /** The next events; undefined where it is to end. `begunAt`: a cursor or time from which they come again. */
  async after(since: string | undefined, limit: number): Promise<(Page & { begunAt: string }) | undefined> {
    try {
      return await this.#read(since, limit);
    } catch (error) {
      if (!(error instanceof CommandFailure) || error.status !== GAP) throw error;
      return await this.#fromTheBeginning(limit);
    }
  }

  /** Does what asks the hub, again and again while it is away. The first answer must come at once. */
  async patiently<T>(ask: () => Promise<T>): Promise<T | undefined> {
    for (let away = false; !this.#ending.aborted; away = true) {
      try {
        const answer = await ask();
        if (away) this.#say('the hub answers again');
        this.#reached = true;
        this.#backoff.reset();
        return answer;
      } catch (error) {
        if (!(error instanceof CommandFailure && error.mayPass && this.#reached)) throw error;
        if (!away) this.#say(`${error.message}; trying again`);
        await this.rest(this.#backoff.next());
      }
    }
    return undefined;
  }

  /** Waits, no longer than until it is to end. */
  async rest(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#ending }).catch(() => {});
  }

  async #read(since: string | undefined, limit: number): Promise<(Page & { begunAt: string }) | undefined> {
    const query = new URLSearchParams({ limit: String(limit) });
    if (since !== undefined) query.set('since', since);
    const page = await this.patiently(() => this.#api.get(`/api/v1/events?${query}`, pageSchema));
    if (page?.keptSince !== undefined) this.#say(`events before ${page.keptSince} are not kept`);
    return page && { ...page, begunAt: since ?? page.cursor };
  }

  /** The cursor is of no use any more: everything that is kept came after it. */
  async #fromTheBeginning(limit: number): Promise<(Page & { begunAt: string }) | undefined> {
    this.#say('the log does not reach back to this cursor; what is kept of it follows');
    try {
      return await this.#read(THE_BEGINNING, limit);
    } catch (error) {
      if (!(error instanceof CommandFailure) || error.path !== 'since') throw error;
      this.#say('this hub takes no times: events before now are not shown');
      return await this.#read(undefined, limit);
    }
  }

  #say(text: string): void {
    this.#io.err(`rollcall: ${printable(text)}\n`);
  }
}

const asJson = (event: LogEvent, cursor: string): string =>
  `${printableLines(JSON.stringify({ ...event, cursor }))}\n`;

function asText({ at, nodeId, type, from, to, reason, node: { hostname } }: LogEvent): string {
  const name = hostname === nodeId ? hostname : `${hostname} (${nodeId})`;
  return table([], [[at, name, type, `${from ?? '-'} -> ${to ?? '-'}`, reason]]).trimStart();
}
