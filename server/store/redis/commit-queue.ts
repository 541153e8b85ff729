import type { Clock } from '../../clock.ts';
import { type Change, type CommitOutcome, StoreAwayError } from '../fleet-store.ts';
import { argumentBytes, BATCH_BYTES } from './batches.ts';
import { changeArguments } from './script-words.ts';

/** Changes in one call: at about 40 us each, Redis serves everybody else after 5 ms. */
const BATCH_CHANGES = 128;
/** Changes of one shard that may wait: beyond it Redis is so far behind that it counts as away. */
const MOST_WAITING_A_SHARD = 10_000;

/** Changes of one shard that go in one call, in their order. */
export interface Share {
  shard: number;
  /** The data set that they were decided on. */
  epoch: string;
  changes: number;
  args: string[];
}

/** Makes one call, and answers what became of each change, share by share; an `Error` is why it was refused. */
export type CommitCall = (shares: readonly Share[]) => Promise<Array<CommitOutcome | Error>>;

interface Waiting {
  shard: number;
  epoch: string;
  change: Change;
  since: number;
  resolve: (outcome: CommitOutcome) => void;
  reject: (error: Error) => void;
}

/**
 * Changes on their way to one Redis, those of a shard in the order in which they were asked for. Those of one turn
 * go in one call, and so do those that are asked for while a call is under way: a change that comes alone goes at
 * once, and a storm makes few and large calls. Each change has its own outcome.
 */
export class CommitQueue {
  readonly #call: CommitCall;
  readonly #clock: Clock;
  /** A change that could not be sent for so long has failed; it was never written. */
  readonly #sentWithinMs: number;
  readonly #mostWaiting: number;
  #waiting: Waiting[] = [];
  #running = false;

  constructor(call: CommitCall, parts: { clock: Clock; sentWithinMs: number; shards: number }) {
    this.#call = call;
    this.#clock = parts.clock;
    this.#sentWithinMs = parts.sentWithinMs;
    this.#mostWaiting = MOST_WAITING_A_SHARD * parts.shards;
  }

  /** Commits a change of the shard's data set with this epoch. Throws `StoreAwayError`: the outcome is then unknown. */
  commit(change: Change, shard: number, epoch: string): Promise<CommitOutcome> {
    if (this.#waiting.length >= this.#mostWaiting)
      return Promise.reject(new StoreAwayError('too many changes wait for Redis'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ shard, epoch, change, since: this.#clock.now(), resolve, reject });
      if (this.#running) return;
      this.#running = true;
      queueMicrotask(() => void this.#run());
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) await this.#send();
    this.#running = false;
  }

  async #send(): Promise<void> {
    const { batch, shares } = this.#take();
    try {
      const [first] = batch;
      if (first && this.#clock.now() - first.since > this.#sentWithinMs)
        throw new StoreAwayError('Redis is too far behind');
      const outcomes = await this.#call(shares);
      for (const [index, { resolve, reject }] of batch.entries()) {
        const outcome = outcomes[index];
        if (typeof outcome === 'string') resolve(outcome);
        else reject(new StoreAwayError(`Redis refused a change: ${outcome?.message ?? 'no answer'}`));
      }
    } catch (error) {
      // Those that wait behind it would only wait for the same failure, one call after the other.
      const failed = error instanceof Error ? error : new Error(String(error));
      for (const { reject } of [...batch, ...this.#waiting.splice(0)]) reject(failed);
    }
  }

  /** The next call, with whom to tell of each change; at least one, however large. */
  #take(): { batch: Waiting[]; shares: Share[] } {
    const parts = new Map<string, { share: Share; batch: Waiting[] }>();
    let bytes = 0;
    let size = 0;
    for (const one of this.#waiting) {
      const args = changeArguments(one.change);
      bytes += argumentBytes(args);
      if (size === BATCH_CHANGES || (size > 0 && bytes > BATCH_BYTES)) break;
      size += 1;
      const { shard, epoch } = one;
      const name = `${shard} ${epoch}`;
      let part = parts.get(name);
      if (!part) {
        part = { share: { shard, epoch, changes: 0, args: [] }, batch: [] };
        parts.set(name, part);
      }
      part.share.changes += 1;
      part.share.args.push(...args);
      part.batch.push(one);
    }
    this.#waiting.splice(0, size);
    const all = [...parts.values()];
    return { batch: all.flatMap(({ batch }) => batch), shares: all.map(({ share }) => share) };
  }
}
