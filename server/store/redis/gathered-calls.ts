import { BATCH_BYTES } from './batches.ts';
import type { RedisClient } from './redis-client.ts';
import type { RedisLink } from './redis-link.ts';
import { asList } from './replies.ts';

/** One shard's part of a script call. */
interface Share {
  keys: readonly string[];
  args: ReadonlyArray<string | number>;
}

/**
 * Gathers the calls of one script within one round of the event loop. A hub reads all its shards, and writes all their
 * heartbeats, in the same round: on one server that is one call and one reply. On a Cluster each shard has its own
 * call, because a script's keys must be in one slot.
 */
export class GatheredCalls {
  readonly #link: RedisLink;
  readonly #shardsGoTogether: boolean;
  readonly #send: (client: RedisClient, args: ReadonlyArray<string | number>) => Promise<unknown>;
  #asked: Asked[] = [];

  constructor(
    link: RedisLink,
    options: {
      shardsGoTogether: boolean;
      /**
       * Sends the script: the number of keys, the keys, the arguments. The reply is a list, one element for each share.
       */
      send: (client: RedisClient, args: ReadonlyArray<string | number>) => Promise<unknown>;
    },
  ) {
    this.#link = link;
    this.#shardsGoTogether = options.shardsGoTogether;
    this.#send = options.send;
  }

  /** The script's reply for this shard. Throws `StoreAwayError`. */
  ask(shard: number, bytes: number, share: Asked['share']): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#asked.length === 0) process.nextTick(() => this.#sendAll());
      this.#asked.push({ shard, bytes, share, resolve, reject });
    });
  }

  #sendAll(): void {
    const asked = this.#asked;
    this.#asked = [];
    let group: Asked[] = [];
    let bytes = 0;
    for (const one of asked) {
      const apart = !this.#shardsGoTogether && group[0]?.shard !== one.shard;
      if (group.length > 0 && (apart || bytes + one.bytes > BATCH_BYTES)) {
        void this.#call(group);
        group = [];
        bytes = 0;
      }
      group.push(one);
      bytes += one.bytes;
    }
    if (group.length > 0) void this.#call(group);
  }

  async #call(group: readonly Asked[]): Promise<void> {
    try {
      const shares = group.map(({ share }) => share(group.length));
      const keys = shares.flatMap((share) => share.keys);
      const args = shares.flatMap((share) => share.args);
      const words = Array.of<string | number>(keys.length).concat(keys, args);
      const replies = asList(
        await this.#link.run(group[0]?.shard ?? 0, (client) => this.#send(client, words)),
      );
      group.forEach(({ resolve }, index) => {
        resolve(replies[index]);
      });
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }
}

interface Asked {
  shard: number;
  /** The bytes of its arguments, roughly. */
  bytes: number;
  /** Called once the number of shards in the call is known, so that each can take its part of the call's limit. */
  share: (together: number) => Share;
  resolve: (reply: unknown) => void;
  reject: (error: unknown) => void;
}
