import type { ServerResponse } from 'node:http';
import type { FleetEvent } from '../../../shared/index.ts';
import type { ReaderBudget } from '../../edge/reader-budget.ts';
import { CHECK_EVERY_MS, isFull, SlowReaderWatch } from '../../edge/slow-reader.ts';
import type { FleetReader } from '../../fleet/ports.ts';
import { EventLog } from '../../picture/event-log.ts';
import type { Cancel, Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import { comparePositions, type Position } from '../../store/fleet-store.ts';

/** The interval of comments, which keep proxies from closing a quiet stream. */
const COMMENT_EVERY_MS = 15_000;
/** The most held for a stream that catches up; beyond it the stream ends and begins again at its last id. */
const HELD_BYTES = 4 * 1024 * 1024;
/** The next page of a replay is sent once less than this is unread. */
const DRAINED_BYTES = 1_000_000;
const DRAIN_CHECK_MS = 10;
const EVENTS_PER_PAGE = 250;
/** The most streams of one hub. */
const MOST_STREAMS = 10_000;

/** One event in the form of server-sent events. `id`: the cursor, if everything up to here has been sent. */
export function sseEvent(name: string, data: unknown, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

export interface EventStreamParts {
  fleet: FleetReader;
  clock: Clock;
  log: Log;
  readers: ReaderBudget;
}

/**
 * The event streams of one hub. Each event is encoded once for all streams; the events of one round of the event loop
 * share one id, on the last, so that a client that resumes gets some twice rather than none.
 */
export class EventStreams {
  /** How often clients had to read afresh. */
  resyncs = 0;
  readonly log: EventLog;
  readonly #fleet: FleetReader;
  readonly #readers: ReaderBudget;
  readonly #clock: Clock;
  readonly #hubLog: Log;
  readonly #streams = new Set<Stream>();
  readonly #ends: Cancel[];
  #pending: FleetEvent[] = [];
  #flushWaits = false;
  #closed = false;

  constructor({ fleet, clock, log, readers }: EventStreamParts) {
    this.#readers = readers;
    this.#fleet = fleet;
    this.#clock = clock;
    this.#hubLog = log;
    this.log = new EventLog(fleet, clock);
    this.#ends = [
      fleet.view.listen({
        changed: ({ event }) => this.#changed(event),
        reloaded: (reason) => this.#reloaded(reason),
      }),
      clock.every(COMMENT_EVERY_MS, () => this.#broadcast(':\n\n')),
      clock.every(CHECK_EVERY_MS, () => this.#check()),
    ];
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Bytes that all readers together have not taken yet. */
  get unreadBytes(): number {
    let bytes = 0;
    for (const { response } of this.#streams) bytes += unreadOf(response);
    return bytes;
  }

  get full(): boolean {
    return this.#closed || this.#streams.size >= MOST_STREAMS || this.#readers.refuses;
  }

  /**
   * Serves a stream from a cursor on, or from now on. The headers must have been written. `notKept`: the missing part
   * before that, in words. Resolves once it has caught up.
   */
  async serve(
    response: ServerResponse,
    from: Position[] | 'gap' | undefined,
    notKept?: string,
  ): Promise<void> {
    const stream: Stream = { response, watch: new SlowReaderWatch(), held: [], heldBytes: 0, ended: false };
    this.#flush();
    this.#streams.add(stream);
    response.once('close', () => this.#forget(stream));
    response.on('error', () => this.#forget(stream));
    const upTo = this.#fleet.view.positions();
    if (from === 'gap') this.#resync(stream, 'the log does not reach back to this cursor');
    else if (from) {
      if (notKept !== undefined) response.write(sseEvent('resync', { reason: notKept }));
      await this.#replay(stream, from, upTo);
    }
    // An id at once, so that a client that loses the connection before the first event can resume.
    else response.write(`id: ${this.log.now()}\n:\n\n`);
    if (stream.ended) return;
    for (const text of stream.held ?? []) response.write(text);
    stream.held = undefined;
  }

  /** Ends all streams; clients reconnect by themselves, here or elsewhere. */
  close(): void {
    this.#closed = true;
    for (const end of this.#ends.splice(0)) end();
    for (const stream of [...this.#streams]) {
      this.#forget(stream);
      stream.response.end();
    }
  }

  async #replay(stream: Stream, from: Position[], upTo: readonly Position[]): Promise<void> {
    let at = from;
    const reached = () =>
      at.every((position, shard) => comparePositions(position.at, upTo[shard]?.at ?? position.at) >= 0);
    while (!stream.ended && !reached()) {
      let page: Awaited<ReturnType<EventLog['page']>>;
      try {
        page = await this.log.page(at, EVENTS_PER_PAGE);
      } catch (error) {
        this.#hubLog.debug({ err: error }, 'A stream could not be replayed');
        this.#cutOff(stream, 'the log cannot be read now');
        return;
      }
      if (stream.ended) return;
      if (page.kind === 'gap') {
        this.#resync(stream, 'the log does not reach back to this cursor');
        return;
      }
      if (page.events.length > 0)
        stream.response.write(sseEvents(page.events, this.log.codec.encode(page.positions)));
      at = page.positions;
      if (!(await this.#drained(stream))) return;
    }
  }

  /** Waits until most of the sent bytes are taken. */
  async #drained(stream: Stream): Promise<boolean> {
    while (!stream.ended && unreadOf(stream.response) > DRAINED_BYTES) {
      await this.#clock.sleep(DRAIN_CHECK_MS);
    }
    return !stream.ended;
  }

  /** Ends streams whose clients read nothing, or too slowly; they reconnect with `Last-Event-ID`. */
  #check(): void {
    for (const stream of this.#streams) {
      const why = stream.watch.check(unreadOf(stream.response));
      if (why !== undefined) this.#cutOff(stream, why);
    }
  }

  #changed(event: FleetEvent): void {
    this.#pending.push(event);
    if (this.#flushWaits) return;
    this.#flushWaits = true;
    // The positions are right only once the view has applied all events of this round.
    queueMicrotask(() => {
      this.#flushWaits = false;
      this.#flush();
    });
  }

  #flush(): void {
    const events = this.#pending;
    if (events.length === 0) return;
    this.#pending = [];
    if (this.#streams.size > 0) this.#broadcast(sseEvents(events, this.log.now()));
  }

  #reloaded(reason: string): void {
    this.#pending = [];
    for (const stream of this.#streams) this.#resync(stream, reason);
  }

  #resync(stream: Stream, reason: string): void {
    this.resyncs += 1;
    stream.held = stream.held && [];
    stream.heldBytes = 0;
    this.#write(stream, sseEvent('resync', { reason }, this.log.now()), true);
  }

  #broadcast(text: string): void {
    for (const stream of this.#streams) this.#write(stream, text);
    this.#readers.sent(text.length * this.#streams.size);
  }

  #write(stream: Stream, text: string, atOnce = false): void {
    if (stream.held && !atOnce) {
      stream.held.push(text);
      stream.heldBytes += text.length;
      if (stream.heldBytes > HELD_BYTES) this.#cutOff(stream, 'too much came while it caught up');
    } else if (isFull(unreadOf(stream.response))) {
      this.#cutOff(stream, 'too much is unread');
    } else {
      stream.response.write(text);
    }
  }

  /** A reset is the only end that frees unread bytes at once, the kernel's part too. */
  #cutOff(stream: Stream, why: string): void {
    this.#hubLog.warn({ unreadBytes: unreadOf(stream.response), why }, 'Cutting off an event stream');
    this.#forget(stream);
    stream.response.socket?.resetAndDestroy();
    stream.response.destroy();
  }

  #forget(stream: Stream): void {
    stream.ended = true;
    this.#streams.delete(stream);
  }
}

const unreadOf = (response: ServerResponse): number =>
  Math.max(response.writableLength, response.socket?.writableLength ?? 0);

function sseEvents(events: readonly FleetEvent[], cursor: string): string {
  const last = events.length - 1;
  return events
    .map((event, index) => sseEvent(event.type, event, index === last ? cursor : undefined))
    .join('');
}

interface Stream {
  response: ServerResponse;
  watch: SlowReaderWatch;
  /** Events that came while the stream catches up; undefined once it is live. */
  held: string[] | undefined;
  heldBytes: number;
  ended: boolean;
}
