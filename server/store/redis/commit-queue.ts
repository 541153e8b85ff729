import type { Clock } from '../../runtime/clock.ts';
import { type Change, type CommitOutcome, StoreAwayError } from '../fleet-store.ts';
import { argumentBytes, BATCH_BYTES, ttlText } from './batches.ts';
import { asList, asText } from './replies.ts';

/** The most changes in one call: Redis serves other clients after a few milliseconds. */
const BATCH_CHANGES = 128;
/** The most waiting changes of one shard: beyond it Redis is so slow that it counts as away. */
const MOST_WAITING = 10_000;

/** Changes of one call, in their order. */
export interface Batch {
  /** The data set that the decisions are based on. */
  epoch: string;
  changes: readonly Change[];
  args: string[];
}

/** Makes one call, and returns the outcome of each change; an `Error` is the reason of its refusal. */
export type CommitCall = (batch: Batch) => Promise<Array<CommitOutcome | Error>>;

/**
 * The changes of one shard on their way to Redis, in the order of the requests. Changes of one round of the event loop
 * go in one call, and so do changes requested during a call: a single change goes at once, and a storm makes few and
 * large calls. Each change has its own outcome.
 */
export class CommitQueue {
  readonly #call: CommitCall;
  readonly #clock: Clock;
  /** A change that could not be sent within this time has failed; it was never written. */
  readonly #sentWithinMs: number;
  #waiting: Waiting[] = [];
  #running = false;

  constructor(call: CommitCall, parts: { clock: Clock; sentWithinMs: number }) {
    this.#call = call;
    this.#clock = parts.clock;
    this.#sentWithinMs = parts.sentWithinMs;
  }

  /** Commits a change of the data set with this epoch. Throws `StoreAwayError`: the outcome is then unknown. */
  commit(change: Change, epoch: string): Promise<CommitOutcome> {
    if (this.#waiting.length >= MOST_WAITING)
      return Promise.reject(new StoreAwayError('too many changes wait for Redis'));
    return new Promise((resolve, reject) => {
      const since = this.#clock.now();
      this.#waiting.push({ epoch, change, args: undefined, since, resolve, reject });
      if (this.#running) return;
      this.#running = true;
      queueMicrotask(() => void this.#run());
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) await this.#send(this.#take());
    this.#running = false;
  }

  /** The next batch; at least one change, of any size. */
  #take(): Waiting[] {
    const epoch = this.#waiting[0]?.epoch;
    let bytes = 0;
    let size = 0;
    for (const one of this.#waiting) {
      one.args ??= changeArguments(one.change);
      bytes += argumentBytes(one.args);
      if (one.epoch !== epoch || size === BATCH_CHANGES || (size > 0 && bytes > BATCH_BYTES)) break;
      size += 1;
    }
    return this.#waiting.splice(0, size);
  }

  async #send(batch: Waiting[]): Promise<void> {
    try {
      const [first] = batch;
      if (first && this.#clock.now() - first.since > this.#sentWithinMs)
        throw new StoreAwayError('Redis is too far behind');
      const outcomes = await this.#call({
        epoch: first?.epoch ?? '',
        changes: batch.map(({ change }) => change),
        args: batch.flatMap(({ args }) => args ?? []),
      });
      for (const [index, { resolve, reject }] of batch.entries()) {
        const outcome = outcomes[index];
        if (typeof outcome === 'string') resolve(outcome);
        else reject(new StoreAwayError(`Redis refused a change: ${outcome?.message ?? 'no answer'}`));
      }
    } catch (error) {
      // The changes behind it would wait for the same failure, one call after the other.
      const failed = error instanceof Error ? error : new Error(String(error));
      for (const { reject } of [...batch, ...this.#waiting.splice(0)]) reject(failed);
    }
  }
}

const flag = (on: boolean): '1' | '0' => (on ? '1' : '0');

/** One change of `commits`. The node's JSON goes once, for the record and for the event. */
function changeArguments(change: Change): string[] {
  const { id, expected, record, event, removed, onlyIfSilent, heartbeat, deadline } = change;
  const { node, session, sessionSeq, instanceId, changeId } = record;
  const due = typeof deadline === 'string' ? deadline : String(Math.max(0, Math.ceil(deadline.afterMs)));
  const [beat, lasts] = typeof heartbeat === 'string' ? [heartbeat, ''] : ['set', ttlText(heartbeat.lastsMs)];
  return [
    ...[id, String(expected), String(event.seq), changeId, flag(removed), flag(onlyIfSilent), beat],
    ...[lasts, due, session, String(sessionSeq), node.status, instanceId],
    ...[JSON.stringify({ ...event, node: undefined }), JSON.stringify(event.node)],
  ];
}

/** The reply of `commits`: the outcome of each change, or the reason for which Redis refused it. */
export function toOutcomes(reply: unknown, changes: number): Array<CommitOutcome | Error> {
  if (reply === 'epoch') return Array.from({ length: changes }, () => 'epoch');
  return asList(reply).map((outcome) =>
    outcome === 'done' || outcome === 'conflict' || outcome === 'still-beating'
      ? outcome
      : new Error(asText(outcome)),
  );
}

interface Waiting {
  epoch: string;
  change: Change;
  /** Made just before sending: in a storm thousands wait, and waiting texts are a burden on the garbage collector. */
  args: string[] | undefined;
  since: number;
  resolve: (outcome: CommitOutcome) => void;
  reject: (error: Error) => void;
}
