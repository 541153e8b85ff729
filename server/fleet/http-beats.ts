import { oncePerRound } from '../runtime/rounds.ts';
import { type Beat, type BeatAnswer, type FleetStore, LostDataError } from '../store/fleet-store.ts';

/** The store's answer to one heartbeat. */
export type BeatVerdict =
  | { kind: 'taken'; returned: boolean }
  | { kind: 'refused'; by: Exclude<BeatAnswer, 'epoch'>['refused'][number] };

/**
 * Heartbeats that came as requests: each is written at once and its request gets the store's answer. While one call to
 * a shard is in progress the next ones gather and go together, so that a fleet of such agents costs a call per round
 * trip and not one per heartbeat. The requests in flight bound what waits.
 */
export class HttpBeats {
  readonly #store: FleetStore;
  /** By shard, heartbeats that are not in a call yet. */
  readonly #waiting: Waiting[][];
  /**
   * By shard, whether a call is in progress. Not a Set: one with frequent additions and deletions keeps the collector
   * busy.
   */
  readonly #busy: boolean[];

  constructor(store: FleetStore) {
    this.#store = store;
    this.#waiting = Array.from({ length: store.shards }, () => []);
    this.#busy = this.#waiting.map(() => false);
  }

  /** Writes a heartbeat. Throws `StoreAwayError` and `LostDataError`. */
  write(beat: Beat): Promise<BeatVerdict> {
    const shard = this.#store.shardOf(beat.id);
    return new Promise((resolve, reject) => {
      this.#waiting[shard]?.push({ beat, resolve, reject });
      if (!this.#busy[shard]) this.#schedule();
    });
  }

  /** Requests of one round of the event loop go together, those of all shards at one moment. */
  readonly #schedule = oncePerRound(() => {
    for (const [shard, batch] of this.#waiting.entries()) {
      if (batch.length > 0 && !this.#busy[shard]) void this.#send(shard, batch);
    }
  });

  async #send(shard: number, batch: readonly Waiting[]): Promise<void> {
    this.#waiting[shard] = [];
    this.#busy[shard] = true;
    try {
      const answer = await this.#store.beat(
        shard,
        batch.map(({ beat }) => beat),
      );
      if (answer === 'epoch') throw new LostDataError(`shard ${shard} lost its data`);
      resolveAll(batch, answer);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    this.#busy[shard] = false;
    if (this.#waiting[shard]?.length) this.#schedule();
  }
}

function resolveAll(batch: readonly Waiting[], { returned, refused }: Exclude<BeatAnswer, 'epoch'>): void {
  const back = new Set(returned);
  const refusals = new Map(refused.map((by) => [`${by.id} ${by.session}`, by]));
  for (const { beat, resolve } of batch) {
    const by = refusals.size === 0 ? undefined : refusals.get(`${beat.id} ${beat.session}`);
    resolve(by ? { kind: 'refused', by } : { kind: 'taken', returned: back.has(beat.id) });
  }
}

interface Waiting {
  beat: Beat;
  resolve: (verdict: BeatVerdict) => void;
  reject: (error: unknown) => void;
}
