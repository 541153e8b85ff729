import { z } from 'zod';
import {
  CLIENT_LIMITS,
  type Filter,
  filterKey,
  type HubState,
  type NodeSummary,
  refusalSchema,
  resyncSchema,
  type SubscribeInput,
  subscribedSchema,
} from '../shared/index.ts';
import { Backoff } from './backoff.ts';
import { type ChangeBatch, type ChangeEvent, type NodeForm, readChanges, readPage } from './messages.ts';
import { type Hole, Picture } from './picture.ts';

export interface SubscriptionOptions<N extends NodeSummary> {
  /** What of each node is asked for: `WHOLE_NODES` or `SUMMARIES`. */
  nodes: NodeForm<N>;
  /** The nodes that are followed. Default: all. */
  filter?: Filter;
  /** Whether snapshots come compressed: less on the wire, more work here and on the hub. */
  gzip?: boolean;
  /** The first pause before a subscription is asked for again, milliseconds; later ones grow to 32 s. Default 500. */
  resubscribeDelayMs?: number;
  /** Bytes of nodes that are kept at the most. Default 512 MiB. */
  keptBytes?: number;
}

/** A change that was applied, and what the node was before it. */
export interface NodeChange<N extends NodeSummary> {
  event: ChangeEvent<N>;
  before: N | undefined;
  /** Undefined where the node was removed, or left the filter. */
  after: N | undefined;
}

export interface SubscriptionListener<N extends NodeSummary> {
  /** The hub took the subscription. `resumed`: what was missed follows, instead of a snapshot. */
  subscribed(how: { resumed: boolean }, hub: HubState): void;
  /** How many nodes of a snapshot have come. */
  progress(received: number, total: number): void;
  /** A snapshot is whole, and takes the place of the picture before it. */
  picture(picture: Picture<N>): void;
  changed(change: NodeChange<N>): void;
  /** There are changes to apply. */
  waiting(): void;
  /** The hub does not answer; it is asked again. */
  unanswered(why: string): void;
  /** The hub is not ready; it is asked again. */
  postponed(why: string): void;
  hole(hole: Hole): void;
  /** Something may be missing. Nothing is followed until the new snapshot is here, which is asked for. */
  resync(reason: string): void;
  /** The hub does not understand, or sends more than is kept: nothing is tried again. */
  ended(code: 'invalid' | 'protocol' | 'too_much', message: string): void;
}

/** Sends a `subscribe`. The answer must be heard before the page that follows it at once. */
export type Ask = (request: SubscribeInput, answered: (error: Error | null, answer: unknown) => void) => void;

type State<N extends NodeSummary> =
  | { kind: 'away' }
  /** Asked for, and not answered: what comes meanwhile belongs to the subscription before. */
  | { kind: 'asking' }
  | { kind: 'collecting'; cursor: string; total: number; picture: Picture<N>; bytes: number; page: PageState }
  | { kind: 'following' };

/** How a snapshot gets on: `remaining` of its last page, and how many pages came. */
interface PageState {
  remaining: number;
  count: number;
}

const answerSchema = z.union([subscribedSchema, refusalSchema]);

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 32_000;
/** A hub that is loading, or busy, says to ask again in a second. */
const LONGEST_POSTPONED_MS = 4_000;

/**
 * A subscription to a fleet: a snapshot in pages, then every change in order. The cursor of the last change resumes it
 * after a lost connection; where a change may be missing, a new snapshot is asked for.
 */
export class Subscription<N extends NodeSummary> {
  readonly #options: SubscriptionOptions<N>;
  readonly #listener: SubscriptionListener<N>;
  readonly #unfiltered: boolean;
  readonly #failed: Backoff;
  readonly #postponed: Backoff;
  readonly #kept = new KeptBytes();
  #ask: Ask | undefined;
  #state: State<N> = { kind: 'away' };
  #picture: Picture<N>;
  #cursor: string | undefined;
  /** Changes that wait to be applied. */
  #batches: Array<ChangeBatch<N> & { next: number }> = [];
  /** The unpacking of a page; what came after it is read after it. */
  #unpacking: Promise<void> | undefined;
  /** Counts subscriptions: what comes late of an earlier one is passed over. */
  #attempt = 0;
  #askTimer: ReturnType<typeof setTimeout> | undefined;
  #pageTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: SubscriptionOptions<N>, listener: SubscriptionListener<N>) {
    const { filter = {}, resubscribeDelayMs = FIRST_PAUSE_MS } = options;
    this.#options = options;
    this.#listener = listener;
    this.#unfiltered = filterKey(filter) === filterKey({});
    this.#failed = new Backoff(resubscribeDelayMs, LONGEST_PAUSE_MS);
    this.#postponed = new Backoff(resubscribeDelayMs, LONGEST_POSTPONED_MS);
    this.#picture = new Picture(this.#unfiltered);
  }

  get state(): State<N>['kind'] {
    return this.#state.kind;
  }

  /** The last whole picture, with the changes since then. */
  get picture(): Picture<N> {
    return this.#picture;
  }

  /** Where to resume: after the last change that was applied. Undefined before the first whole picture and after a gap. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  /** A connection is there. */
  connected(ask: Ask): void {
    this.#ask = ask;
    this.#subscribe();
  }

  /** The connection is gone. What is known stays, and is resumed from. */
  lost(): void {
    this.#ask = undefined;
    this.#to({ kind: 'away' });
  }

  /** A page of a snapshot. `bytes`: its size on the wire. */
  page(value: unknown, bytes: number): void {
    if (this.#state.kind !== 'collecting') return;
    clearTimeout(this.#pageTimer);
    const page = readPage(value, this.#options.nodes, this.#options.gzip ?? false);
    if (page instanceof Promise) this.#inOrder(async () => this.#collect(await page, bytes));
    else if (this.#unpacking) this.#inOrder(async () => this.#collect(page, bytes));
    else this.#collect(page, bytes);
  }

  /** A message of changes. `bytes`: its size on the wire. */
  changes(value: unknown, bytes: number): void {
    if (this.#unpacking) this.#inOrder(async () => this.#take(value, bytes));
    else this.#take(value, bytes);
  }

  /** The hub cannot bridge a gap. */
  resync(why: unknown): void {
    if (this.#state.kind !== 'following' && this.#state.kind !== 'collecting') return;
    const read = resyncSchema.safeParse(why);
    this.#startOver(read.success ? read.data.reason : 'the hub lost the thread');
  }

  /** Applies changes that wait, for at most so long, and returns whether more wait. */
  apply(forMs: number, now: () => number = () => performance.now()): boolean {
    const until = now() + forMs;
    for (let batch = this.#batches[0]; batch; batch = this.#batches[0]) {
      for (let event = batch.events[batch.next]; event; event = batch.events[batch.next]) {
        batch.next += 1;
        if (!this.#apply(event)) return false;
        // The time is read once in a while only.
        if (batch.next % 64 === 0 && now() > until) return true;
      }
      this.#cursor = batch.cursor;
      this.#batches.shift();
    }
    return false;
  }

  #apply(event: ChangeEvent<N>): boolean {
    const applied = this.#picture.apply(event);
    if (applied.kind === 'applied')
      this.#listener.changed({ event, before: applied.before, after: applied.after });
    if (applied.kind !== 'hole') return true;
    this.#listener.hole(applied.hole);
    this.#startOver(`version ${event.seq} of ${event.nodeId} came without the one before`);
    return false;
  }

  #subscribe(): void {
    // What was heard already counts as known before it is asked where to resume.
    this.apply(Number.POSITIVE_INFINITY);
    this.#to({ kind: 'asking' });
    const attempt = this.#attempt;
    const { nodes, filter = {}, gzip = false } = this.#options;
    const since = this.#cursor;
    const request = { filter, fields: nodes.fields, gzip, ...(since !== undefined && { since }) };
    this.#ask?.(request, (error, answer) => {
      if (attempt !== this.#attempt) return;
      if (!error) {
        this.#answered(answer);
        return;
      }
      this.#again(this.#failed);
      this.#listener.unanswered('the hub does not answer a subscription');
    });
  }

  #answered(answer: unknown): void {
    const read = answerSchema.safeParse(answer);
    if (!read.success) {
      this.#end('protocol', 'the hub answers in a way that this version does not understand');
    } else if (!read.data.ok) {
      const { code, message } = read.data;
      if (code === 'invalid') this.#end('invalid', message);
      else {
        this.#again(this.#postponed);
        this.#listener.postponed(message);
      }
    } else {
      const { resumed, cursor, total, hub } = read.data;
      this.#failed.good();
      this.#postponed.reset();
      if (resumed) this.#to({ kind: 'following' });
      else {
        const page = { remaining: Number.POSITIVE_INFINITY, count: 0 };
        this.#to({
          kind: 'collecting',
          cursor,
          total,
          picture: new Picture(this.#unfiltered),
          bytes: 0,
          page,
        });
        this.#expectPage();
      }
      this.#listener.subscribed({ resumed }, hub);
    }
  }

  #collect(page: Awaited<ReturnType<typeof readPage<N>>>, bytes: number): void {
    const state = this.#state;
    if (state.kind !== 'collecting') return;
    state.page.count += 1;
    // A page that brings the end no nearer would go on for ever.
    if (!page || page.remaining >= state.page.remaining || state.page.count > CLIENT_LIMITS.pages) {
      this.#startOver('a page of the snapshot could not be read');
      return;
    }
    state.page.remaining = page.remaining;
    state.bytes += bytes + page.unpackedBytes;
    for (const node of page.nodes) state.picture.load(node);
    if (this.#isTooMuch(state.bytes, state.picture)) return;
    this.#listener.progress(state.picture.size, Math.max(state.total, state.picture.size));
    if (page.remaining > 0) this.#expectPage();
    else this.#pictured(state);
  }

  #pictured({ cursor, picture, bytes }: Extract<State<N>, { kind: 'collecting' }>): void {
    this.#kept.restart(bytes);
    this.#cursor = cursor;
    this.#picture = picture;
    this.#batches = [];
    this.#state = { kind: 'following' };
    this.#listener.picture(picture);
  }

  #take(value: unknown, bytes: number): void {
    if (this.#state.kind === 'collecting') this.#startOver('changes came before the snapshot was whole');
    if (this.#state.kind !== 'following') return;
    const changes = readChanges(value, this.#options.nodes);
    if (!changes) {
      this.#startOver('changes could not be read');
      return;
    }
    this.#kept.changed(changes.events, bytes);
    if (this.#isTooMuch(this.#kept.bytes, this.#picture)) return;
    this.#batches.push({ ...changes, next: 0 });
    this.#listener.waiting();
  }

  /** The next page of a snapshot is to come soon. */
  #expectPage(): void {
    clearTimeout(this.#pageTimer);
    const late = () => this.#startOver('the snapshot did not go on');
    this.#pageTimer = setTimeout(late, CLIENT_LIMITS.pageWithinMs);
  }

  #isTooMuch(bytes: number, picture: Picture<N>): boolean {
    const { keptBytes = CLIENT_LIMITS.keptBytes } = this.#options;
    if (bytes <= keptBytes && picture.size <= CLIENT_LIMITS.keptNodes) return false;
    const most = `${Math.ceil(keptBytes / 1024 / 1024)} MiB or ${CLIENT_LIMITS.keptNodes.toLocaleString('en')} nodes`;
    this.#end('too_much', `sends more than ${most}, which is not kept; a filter may help`);
    return true;
  }

  #startOver(reason: string): void {
    this.#cursor = undefined;
    this.#batches = [];
    this.#to({ kind: 'away' });
    this.#again(this.#failed);
    this.#listener.resync(reason);
  }

  #again(backoff: Backoff): void {
    clearTimeout(this.#askTimer);
    if (this.#ask) this.#askTimer = setTimeout(() => this.#subscribe(), backoff.next());
  }

  #end(code: 'invalid' | 'protocol' | 'too_much', message: string): void {
    this.lost();
    this.#listener.ended(code, message);
  }

  #to(state: State<N>): void {
    this.#state = state;
    this.#attempt += 1;
    this.#unpacking = undefined;
    clearTimeout(this.#askTimer);
    clearTimeout(this.#pageTimer);
  }

  /** One after the other, and only while the subscription is the same. */
  #inOrder(run: () => Promise<void>): void {
    const attempt = this.#attempt;
    const unpacking = (this.#unpacking ?? Promise.resolve()).then(async () => {
      if (attempt === this.#attempt) await run();
      if (this.#unpacking === unpacking) this.#unpacking = undefined;
    });
    this.#unpacking = unpacking;
  }
}

/** About how much the nodes of a picture take, by what came over the wire. */
class KeptBytes {
  bytes = 0;
  /** Of each node that changed since the snapshot. */
  readonly #ofNode = new Map<string, number>();

  restart(bytes: number): void {
    this.#ofNode.clear();
    this.bytes = bytes;
  }

  /** Changes leave a node each behind, of about the same part of their message. */
  changed(events: ReadonlyArray<ChangeEvent<NodeSummary>>, bytes: number): void {
    const each = bytes / Math.max(1, events.length);
    for (const { nodeId, type, left } of events) {
      this.bytes -= this.#ofNode.get(nodeId) ?? 0;
      this.#ofNode.delete(nodeId);
      if (type === 'removed' || left) continue;
      this.#ofNode.set(nodeId, each);
      this.bytes += each;
    }
  }
}
