import { type Beat, type BeatAnswer, type FleetStore, LostDataError } from '../store/fleet-store.ts';

/** What the store said of one heartbeat. */
export type BeatVerdict =
  | { kind: 'taken'; returned: boolean }
  | { kind: 'refused'; by: Exclude<BeatAnswer, 'epoch'>['refused'][number] };

interface Waiting {
  beat: Beat;
  resolve: (verdict: BeatVerdict) => void;
  reject: (error: unknown) => void;
}

/**
 * Heartbeats that came as requests: each is written at once and its request answered with what the store said.
 * While one call to a shard is under way the next ones gather and go together, so that a fleet of such agents
 * costs a call per round trip and not one per heartbeat. What waits is bounded by the requests in flight.
 */
export class HttpBeats {
  readonly #store: FleetStore;
  readonly #waiting: Waiting[][];
  readonly #busy = new Set<number>();

  constructor(store: FleetStore) {
    this.#store = store;
    this.#waiting = Array.from({ length: store.shards }, () => []);
  }

  /** Writes a heartbeat. Throws `StoreAwayError` and `LostDataError`. */
  write(beat: Beat): Promise<BeatVerdict> {
    const shard = this.#store.shardOf(beat.id);
    return new Promise((resolve, reject) => {
      this.#waiting[shard]?.push({ beat, resolve, reject });
      if (this.#busy.has(shard)) return;
      this.#busy.add(shard);
      // After the microtasks of this turn: requests that were read together go together.
      setImmediate(() => void this.#drain(shard));
    });
  }

  async #drain(shard: number): Promise<void> {
    for (let batch = this.#take(shard); batch.length > 0; batch = this.#take(shard)) {
      await this.#send(shard, batch);
    }
    this.#busy.delete(shard);
  }

  #take(shard: number): Waiting[] {
    const taken = this.#waiting[shard] ?? [];
    this.#waiting[shard] = [];
    return taken;
  }

  async #send(shard: number, batch: readonly Waiting[]): Promise<void> {
    try {
      const answer = await this.#store.beat(
        shard,
        batch.map(({ beat }) => beat),
      );
      if (answer === 'epoch') throw new LostDataError(`shard ${shard} lost its data`);
      const returned = new Set(answer.returned);
      const refused = new Map(answer.refused.map((by) => [`${by.id} ${by.session}`, by]));
      for (const { beat, resolve } of batch) {
        const by = refused.get(`${beat.id} ${beat.session}`);
        resolve(by ? { kind: 'refused', by } : { kind: 'taken', returned: returned.has(beat.id) });
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}
