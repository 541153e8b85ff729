import { budget } from './budget.ts';
import type { RedisServer } from './redis-server.ts';

/** A slot of a Redis Cluster on its way from one master to another, in the steps of `redis-cli --cluster reshard`. */
export class SlotMove {
  readonly #slot: string;
  readonly #from: RedisServer;
  readonly #to: RedisServer;

  private constructor(slot: string, from: RedisServer, to: RedisServer) {
    this.#slot = slot;
    this.#from = from;
    this.#to = to;
  }

  /** From now on the old master sends who asks for a key that it lacks to the new one. */
  static async begin(key: string, from: RedisServer, to: RedisServer): Promise<SlotMove> {
    const slot = await from.cli('CLUSTER', 'KEYSLOT', key);
    const [fromId, toId] = await Promise.all([from, to].map((server) => server.cli('CLUSTER', 'MYID')));
    await to.cli('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId ?? '');
    await from.cli('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId ?? '');
    return new SlotMove(slot, from, to);
  }

  /** The keys that have not moved yet. */
  async left(): Promise<string[]> {
    const keys = await this.#from.cli('CLUSTER', 'GETKEYSINSLOT', this.#slot, '10000');
    return keys === '' ? [] : keys.split('\n');
  }

  /** Moves some of its keys. Throws where the new master has one of them already. */
  async move(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    const to = ['127.0.0.1', String(this.#to.port), '', '0', String(budget(5_000))];
    const answer = await this.#from.cli('MIGRATE', ...to, 'KEYS', ...keys);
    // A key may have ended meanwhile.
    if (answer !== 'OK' && answer !== 'NOKEY') throw new Error(answer);
  }

  /** Moves what is left, and tells everyone that the slot is the new master's. */
  async finish(masters: readonly RedisServer[]): Promise<void> {
    for (let keys = await this.left(); keys.length > 0; keys = await this.left()) await this.move(keys);
    const toId = await this.#to.cli('CLUSTER', 'MYID');
    const others = masters.filter((server) => server !== this.#to);
    for (const server of [this.#to, ...others])
      await server.cli('CLUSTER', 'SETSLOT', this.#slot, 'NODE', toId);
  }
}

/** The one of these servers that holds a key. */
export async function holderOf(key: string, servers: readonly RedisServer[]): Promise<RedisServer> {
  for (const server of servers) if ((await server.cli('EXISTS', key)) === '1') return server;
  throw new Error(`no server holds ${key}`);
}
