import { z } from 'zod';
import { CLIENT_LIMITS, type HubState, refusalSchema, subscribedSchema } from '../../shared/index.ts';
import { gunzipText } from './gunzip.ts';
import { Picture, type RowChange } from './picture.ts';
import { type RowEvent, readChanges, readPage, readRows, type SnapshotPage } from './wire-rows.ts';

type State =
  | { kind: 'away' }
  /** A subscription was asked for and not answered: what comes meanwhile belongs to the one before. */
  | { kind: 'asking' }
  /** `remaining`: what the last page said. */
  | { kind: 'collecting'; cursor: string; picture: Picture; total: number; remaining?: number }
  | { kind: 'following' };

/** What following a fleet brings about. */
export interface FollowingListener {
  /** A whole picture came; it takes the place of the one before. */
  picture(picture: Picture): void;
  /** A change was applied to the present picture. */
  changed(change: RowChange, event: RowEvent): void;
  /** There are batches to apply: call `apply` in the next frame. */
  waiting(): void;
  /** So much of a snapshot has come. */
  progress(received: number, total: number): void;
  hub(state: HubState): void;
  /** Something was missed: nothing is followed until it is asked for afresh. */
  startOver(reason: string): void;
}

export type AnswerOutcome = 'resumed' | 'snapshot' | 'later' | 'not_understood';

const answerSchema = z.union([subscribedSchema, refusalSchema]);

/**
 * Follows a fleet as the protocol asks of a dashboard, without knowing of sockets: a picture in pages, then
 * every change by `seq`, and a cursor that may be used once the picture is whole.
 */
export class Following {
  readonly #listener: FollowingListener;
  readonly #unfiltered: boolean;
  #state: State = { kind: 'away' };
  #picture: Picture;
  #cursor: string | undefined;
  #batches: Array<{ cursor: string; events: RowEvent[]; next: number }> = [];
  /** Pages are unpacked in the background; what comes after them waits its turn. */
  #turn: Promise<void> | undefined;
  #subscription = 0;

  constructor(listener: FollowingListener, { unfiltered = true }: { unfiltered?: boolean } = {}) {
    this.#listener = listener;
    this.#unfiltered = unfiltered;
    this.#picture = new Picture(unfiltered);
  }

  get state(): State['kind'] {
    return this.#state.kind;
  }

  /** Where to resume; undefined before the first whole picture and where something was missed. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  get picture(): Picture {
    return this.#picture;
  }

  /** A subscription is being asked for: what was heard before is applied first. */
  asked(): void {
    this.apply(Number.POSITIVE_INFINITY);
    this.#to({ kind: 'asking' });
  }

  answered(answer: unknown): AnswerOutcome {
    const read = answerSchema.safeParse(answer);
    if (!read.success) return 'not_understood';
    if (!read.data.ok) return read.data.code === 'invalid' ? 'not_understood' : 'later';
    const { resumed, cursor, total, hub } = read.data;
    this.#to(
      resumed
        ? { kind: 'following' }
        : { kind: 'collecting', cursor, total, picture: new Picture(this.#unfiltered) },
    );
    this.#listener.hub(hub);
    return resumed ? 'resumed' : 'snapshot';
  }

  /** The connection is gone. What was heard stays, and is resumed from. */
  lost(): void {
    this.#to({ kind: 'away' });
  }

  page(value: unknown): void {
    if (this.#state.kind !== 'collecting') return;
    const page = readPage(value);
    const unpacked = page && 'gzip' in page ? unpack(page) : Promise.resolve(page);
    this.#inTurn(async () => this.#collect(await unpacked));
  }

  changes(value: unknown): void {
    if (this.#turn) this.#inTurn(async () => this.#take(value));
    else this.#take(value);
  }

  /** The hub cannot bridge a gap. */
  resync(reason: string): void {
    if (this.#state.kind === 'following' || this.#state.kind === 'collecting') this.#startOver(reason);
  }

  /**
   * Applies what waits, for at most so long; true where more is left for the next frame. Time is looked at
   * once in a while only.
   */
  apply(forMs: number, now: () => number = () => performance.now()): boolean {
    const until = now() + forMs;
    for (let batch = this.#batches[0]; batch; batch = this.#batches[0]) {
      for (let event = batch.events[batch.next]; event; event = batch.events[batch.next]) {
        batch.next += 1;
        const applied = this.#picture.apply(event);
        if (applied.kind === 'hole') {
          this.#startOver(`version ${event.seq} of ${event.nodeId} came without the one before`);
          return false;
        }
        if (applied.kind === 'applied') this.#listener.changed(applied.change, event);
        if (batch.next % 64 === 0 && now() > until) return true;
      }
      this.#cursor = batch.cursor;
      this.#batches.shift();
    }
    return false;
  }

  #collect(page: { rows: RowEvent['node'][]; remaining: number } | undefined): void {
    const state = this.#state;
    if (state.kind !== 'collecting') return;
    const before = state.remaining ?? Number.POSITIVE_INFINITY;
    // A page that brings the end no nearer would go on for ever.
    if (!page || page.remaining >= before || state.picture.size > CLIENT_LIMITS.keptNodes) {
      this.#startOver('a page of the snapshot could not be read');
      return;
    }
    state.remaining = page.remaining;
    for (const row of page.rows) state.picture.load(row);
    this.#listener.progress(state.picture.size, Math.max(state.total, state.picture.size));
    if (page.remaining > 0) return;
    this.#cursor = state.cursor;
    this.#picture = state.picture;
    this.#batches = [];
    this.#state = { kind: 'following' };
    this.#listener.picture(state.picture);
  }

  #take(value: unknown): void {
    if (this.#state.kind === 'collecting') this.#startOver('changes came before the snapshot was whole');
    if (this.#state.kind !== 'following') return;
    const changes = readChanges(value);
    if (!changes) {
      this.#startOver('changes could not be read');
      return;
    }
    this.#batches.push({ ...changes, next: 0 });
    this.#listener.waiting();
  }

  #startOver(reason: string): void {
    this.#cursor = undefined;
    this.#batches = [];
    this.#to({ kind: 'away' });
    this.#listener.startOver(reason);
  }

  #to(state: State): void {
    this.#state = state;
    this.#subscription += 1;
    this.#turn = undefined;
  }

  /** One after the other, and only for as long as the subscription is the same. */
  #inTurn(run: () => Promise<void>): void {
    const subscription = this.#subscription;
    const turn = (this.#turn ?? Promise.resolve()).then(async () => {
      if (subscription === this.#subscription) await run();
      if (this.#turn === turn) this.#turn = undefined;
    });
    this.#turn = turn;
  }
}

async function unpack({ gzip, remaining }: SnapshotPage & { gzip: Uint8Array<ArrayBuffer> }) {
  try {
    const rows = readRows(JSON.parse(await gunzipText(gzip)));
    return rows && { rows, remaining };
  } catch {
    return undefined;
  }
}
