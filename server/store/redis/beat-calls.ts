import type { Beat, BeatAnswer } from '../fleet-store.ts';
import { BATCH_BYTES, batchesOf } from './batches.ts';
import type { RedisLink } from './redis-link.ts';
import { asList } from './replies.ts';
import { beatArguments, toBeatAnswer } from './script-words.ts';

/** A shard as the script of heartbeats names it. */
export interface BeatShard {
  shard: number;
  epochKey: string;
  epoch: string;
  prefix: string;
}

/** Heartbeats of one shard that fit into one call, and the promise of what the script says of them. */
interface Piece extends BeatShard {
  args: string[];
  bytes: number;
  answer: (reply: Promise<unknown>) => void;
}

/** Arguments of one heartbeat. */
const WORDS = 4;

/**
 * Writes heartbeats. What is handed in at one moment goes in one script call, whatever the shards: a call costs the
 * hub and Redis as much as several heartbeats. On a Cluster each shard has calls of its own, as its keys lie elsewhere.
 */
export class BeatCalls {
  readonly #link: RedisLink;
  readonly #together: boolean;
  #waiting: Piece[] = [];

  constructor(link: RedisLink, { together }: { together: boolean }) {
    this.#link = link;
    this.#together = together;
  }

  /** Throws `StoreAwayError`. */
  async beat(shard: BeatShard, beats: readonly Beat[]): Promise<BeatAnswer> {
    const replies = Array.from(
      batchesOf(beats, beatArguments),
      ({ args, bytes }) => new Promise<unknown>((answer) => this.#hand({ ...shard, args, bytes, answer })),
    );
    return toBeatAnswer(await Promise.all(replies));
  }

  #hand(piece: Piece): void {
    if (!this.#together) {
      this.#call([piece]);
      return;
    }
    this.#waiting.push(piece);
    // After what is handed in now, before anything else.
    if (this.#waiting.length === 1) queueMicrotask(() => this.#callAll());
  }

  #callAll(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    let call: Piece[] = [];
    let bytes = 0;
    for (const piece of waiting) {
      if (call.length > 0 && bytes + piece.bytes > BATCH_BYTES) {
        this.#call(call);
        call = [];
        bytes = 0;
      }
      call.push(piece);
      bytes += piece.bytes;
    }
    this.#call(call);
  }

  #call(pieces: readonly Piece[]): void {
    const args: Array<string | number> = [pieces.length];
    for (const { epochKey } of pieces) args.push(epochKey);
    for (const piece of pieces) {
      args.push(piece.epoch, piece.prefix, piece.args.length / WORDS);
      // One by one: spreading thousands of arguments at once would overflow the stack.
      for (const word of piece.args) args.push(word);
    }
    const [first] = pieces;
    const part = this.#together || !first ? 'fleet' : first.shard;
    const replies = this.#link.run(part, (client) => client.fleetBeat(...args)).then(asList);
    for (const [index, { answer }] of pieces.entries()) answer(replies.then((all) => all[index]));
  }
}
