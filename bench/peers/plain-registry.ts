import { Redis } from 'ioredis';

/** A change as the plain hubs tell their dashboards. */
export interface PlainChange {
  id: string;
  status: 'online' | 'degraded' | 'offline';
  at: number;
  detail?: string;
}

interface PlainStats {
  conditions?: Array<{ status: string; message?: string }>;
}

/**
 * What both plain hubs keep in Redis, as a team would write it in an afternoon: a hash with every node, one key with
 * a TTL for each heartbeat, a keyspace notification when that runs out, and a channel by which all hubs hear of
 * changes. Commands of one turn are pipelined, as ioredis' documents advise.
 */
export class PlainRegistry {
  readonly #redis: Redis;
  readonly #subscriber: Redis;
  readonly #statuses = new Map<string, PlainChange['status']>();

  constructor(
    url: string,
    private readonly timeoutMs: number,
    private readonly changed: (json: string) => void,
  ) {
    this.#redis = new Redis(url, { enableAutoPipelining: true });
    this.#subscriber = new Redis(url);
  }

  async open(): Promise<void> {
    await this.#redis.config('SET', 'notify-keyspace-events', 'Ex');
    await this.#subscriber.subscribe('changes', '__keyevent@0__:expired');
    this.#subscriber.on('message', (channel: string, message: string) => {
      if (channel === 'changes') this.changed(message);
      else if (message.startsWith('beat:'))
        void this.#publish(message.slice('beat:'.length), 'offline', 'timeout');
    });
  }

  async register(id: string, node: object): Promise<void> {
    await Promise.all([
      this.#redis.hset('nodes', id, JSON.stringify({ ...node, status: 'online', since: Date.now() })),
      this.#redis.set(`beat:${id}`, '', 'PX', this.timeoutMs),
    ]);
    await this.#publish(id, 'online');
  }

  async beat(id: string, stats?: PlainStats): Promise<void> {
    await this.#redis.set(`beat:${id}`, stats ? JSON.stringify(stats) : '', 'PX', this.timeoutMs);
    if (!stats?.conditions) return;
    const failing = stats.conditions.find(({ status }) => status === 'fail');
    const status = failing ? 'degraded' : 'online';
    if (this.#statuses.get(id) !== status) await this.#publish(id, status, failing?.message);
  }

  /** Its socket is gone. */
  async lost(id: string): Promise<void> {
    await Promise.all([this.#redis.del(`beat:${id}`), this.#publish(id, 'offline', 'disconnected')]);
    this.#statuses.delete(id);
  }

  /** Every node as JSON, for a dashboard that comes. */
  nodes(): Promise<string[]> {
    return this.#redis.hvals('nodes');
  }

  async #publish(id: string, status: PlainChange['status'], detail?: string): Promise<void> {
    this.#statuses.set(id, status);
    const change: PlainChange = { id, status, at: Date.now(), ...(detail !== undefined && { detail }) };
    await this.#redis.publish('changes', JSON.stringify(change));
  }
}
