import { Cluster } from 'ioredis';
import type { RedisClient } from './redis-client.ts';

/**
 * Gathers the commands of one turn of the event loop into one write to each socket. A hub sends the looks at
 * all shards, their heartbeats and the commits of a storm in the same turn, and a write to a socket costs more
 * than all that ioredis does for a command. Nothing else changes: order, answers and errors stay the commands' own.
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

  /** To be called before a command is sent; the sockets are written to at the end of this turn. */
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
