import { Cluster } from 'ioredis';
import type { RedisClient } from './redis-client.ts';

/**
 * Gathers the commands of one round of the event loop into one write to each socket. A hub sends the ticks of all
 * shards, their heartbeats and the commits of a storm in the same round, and a write to a socket costs more than
 * ioredis' work for a command. Order, replies and errors of the commands do not change.
 */
export class OneWriteATurn {
  readonly #client: RedisClient;
  #held: ReadonlyArray<{ uncork(): void }> = [];
  readonly #let = (): void => {
    const held = this.#held;
    this.#held = [];
    for (const stream of held) stream.uncork();
  };

  constructor(client: RedisClient) {
    this.#client = client;
  }

  /** To be called before a command is sent; the sockets are written at the end of this round. */
  hold(): void {
    if (this.#held.length > 0) return;
    const clients = this.#client instanceof Cluster ? this.#client.nodes('master') : [this.#client];
    // A node of a Cluster connects with its first command: before that it has no socket.
    const open = clients.filter(({ status }) => status === 'ready').map(({ stream }) => stream);
    if (open.length === 0) return;
    for (const stream of open) stream.cork();
    this.#held = open;
    setImmediate(this.#let);
  }
}
