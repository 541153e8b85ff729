import { Redis } from 'ioredis';
import { z } from 'zod';
import { startCluster } from '../../test/support/redis-cluster.ts';
import { startRedis } from '../../test/support/redis-server.ts';
import type { Reading } from '../load/orders.ts';
import { type LoadOrder, pictureSchema, readingSchema, returnedSchema, seenSchema } from '../load/orders.ts';
import {
  missing,
  PEERS,
  type Peer,
  type PeerName,
  type PeerServer,
  type PeerSettings,
} from '../peers/catalogue.ts';
import { Child } from './child.ts';
import { cpuMicros, LOAD_CORE, pin } from './processes.ts';

/** Redis as the bench needs it: one server, or three masters of a Cluster. */
export interface BenchRedis {
  readonly url: string;
  cpuMicros(): number;
  /** How long each heartbeat still counts, in milliseconds, as far as a peer keeps them as keys named `…beat:<id>`. */
  beatTtls(): Promise<number[]>;
  /** How many events of Rollcall's log have this text in their JSON. */
  eventsWith(text: string): Promise<number>;
}

const scanned = z.tuple([z.string(), z.array(z.string())]);

async function* keys(redis: Redis, pattern: string): AsyncGenerator<string[]> {
  let cursor = '0';
  do {
    const [next, found] = scanned.parse(await redis.scan(cursor, 'MATCH', pattern, 'COUNT', 5_000));
    if (found.length > 0) yield found;
    cursor = next;
  } while (cursor !== '0');
}

async function withClients<T>(ports: readonly number[], use: (redis: Redis) => Promise<T[]>): Promise<T[]> {
  const all: T[] = [];
  for (const port of ports) {
    const redis = new Redis(port, '127.0.0.1', { commandTimeout: 20_000, protocol: 2 });
    try {
      all.push(...(await use(redis)));
    } finally {
      redis.disconnect();
    }
  }
  return all;
}

async function ttlsIn(redis: Redis): Promise<number[]> {
  const ttls: number[] = [];
  for await (const page of keys(redis, '*beat:*')) {
    const answers = await page.reduce((line, key) => line.pttl(key), redis.pipeline()).exec();
    for (const [error, ttl] of answers ?? []) if (!error) ttls.push(Number(ttl));
  }
  return ttls;
}

async function eventsIn(redis: Redis, text: string): Promise<number[]> {
  const found: number[] = [];
  for await (const page of keys(redis, '*:events')) {
    for (const key of page) {
      for (const [, fields] of await redis.xrange(key, '-', '+')) {
        if (fields.some((field) => field.includes(text))) found.push(1);
      }
    }
  }
  return found;
}

/** Another process that plays agents and dashboards. */
export class Load {
  constructor(private readonly child: Child) {}

  get pid(): number {
    return this.child.pid;
  }

  async connect(order: Omit<Extract<LoadOrder, { do: 'connect' }>, 'do'>): Promise<void> {
    await this.child.ask({ do: 'connect', ...order }, z.number(), 160_000);
  }

  async dashboards(order: Omit<Extract<LoadOrder, { do: 'dashboards' }>, 'do'>): Promise<void> {
    await this.child.ask({ do: 'dashboards', ...order }, z.number(), 60_000);
  }

  /** Any order that answers nothing. */
  async tell(order: LoadOrder): Promise<void> {
    await this.child.ask(order, z.unknown(), 60_000);
  }

  read(): Promise<Reading> {
    return this.child.ask({ do: 'read' }, readingSchema);
  }

  number(order: LoadOrder): Promise<number> {
    return this.child.ask(order, z.number());
  }

  returned(): Promise<z.output<typeof returnedSchema>> {
    return this.child.ask({ do: 'returned' }, returnedSchema);
  }

  picture(order: Omit<Extract<LoadOrder, { do: 'picture' }>, 'do'>): Promise<z.output<typeof pictureSchema>> {
    return this.child.ask({ do: 'picture', ...order }, pictureSchema, 70_000);
  }

  seen(clear = false): Promise<z.output<typeof seenSchema>> {
    return this.child.ask({ do: 'seen', clear }, seenSchema);
  }

  async lastPings(spacingMs: number): Promise<Map<string, number>> {
    const sent = z.array(z.tuple([z.string(), z.number()]));
    return new Map(await this.child.ask({ do: 'last-ping', spacingMs }, sent, 60_000));
  }

  kill(): Promise<void> {
    return this.child.kill();
  }
}

let octet = 0;

const GIVEN_UP = 'this measurement was given up';

/** Everything that a measurement starts, so that all of it ends with it, however it ends. */
export class Stage {
  readonly #ends: Array<() => Promise<void>> = [];
  #closed = false;

  /** Whoever was given up may still be at work: nothing starts any more, and what was about to start ends at once. */
  async #keep<T>(start: () => Promise<T>, end: (thing: T) => Promise<void>): Promise<T> {
    if (this.#closed) throw new Error(GIVEN_UP);
    const thing = await start();
    if (this.#closed) {
      await end(thing);
      throw new Error(GIVEN_UP);
    }
    this.#ends.push(() => end(thing));
    return thing;
  }

  async redis(): Promise<BenchRedis> {
    const redis = await this.#keep(startRedis, (one) => one.stop());
    pin(redis.pid, LOAD_CORE);
    return redisOf(redis.url, [redis]);
  }

  async cluster(): Promise<BenchRedis> {
    const cluster = await this.#keep(startCluster, (one) => one.stop());
    for (const { pid } of cluster.nodes) pin(pid, LOAD_CORE);
    return redisOf(cluster.url, cluster.nodes);
  }

  /** A server of this kind with a Redis of its own where it needs one. */
  async peer(
    name: PeerName,
    settings: PeerSettings = {},
  ): Promise<{ peer: Peer; server: PeerServer; redis?: BenchRedis }> {
    const peer = PEERS[name];
    const why = missing(name);
    if (why !== undefined) throw new Error(why);
    const redis =
      peer.redis === 'none' ? undefined : await (peer.redis === 'one' ? this.redis() : this.cluster());
    const server = await this.server(peer, { redisUrl: redis?.url, ...settings });
    return { peer, server, ...(redis && { redis }) };
  }

  server(peer: Peer, settings: PeerSettings): Promise<PeerServer> {
    return this.#keep(
      () => peer.start(settings),
      (server) => server.kill(),
    );
  }

  async load(): Promise<Load> {
    octet = (octet % 250) + 1;
    const { child } = await this.#keep(
      () =>
        Child.start(new URL('../load/main.ts', import.meta.url), {
          name: 'the load process',
          core: LOAD_CORE,
          env: { BENCH_OCTET: String(octet) },
        }),
      ({ child: started }) => started.kill(),
    );
    return new Load(child);
  }

  /** A server and a load for it, started side by side: they have different cores. */
  async pair(name: PeerName, settings: PeerSettings = {}) {
    const load = this.load();
    // Where the server does not start, the load is ended with the stage; its own error would be nobody's.
    load.catch(() => {});
    const started = await this.peer(name, settings);
    return { ...started, load: await load };
  }

  /** Several servers of one kind on one Redis, with a share of the agents and a load of its own for each. */
  async group(name: PeerName, processes: number, agents: number) {
    const starting = Promise.all(Array.from({ length: processes }, () => this.load()));
    // As in `pair`.
    starting.catch(() => {});
    const { peer, server: first, redis } = await this.peer(name);
    const servers = [first];
    while (servers.length < processes) servers.push(await this.server(peer, { redisUrl: redis?.url }));
    const loads = await starting;
    const count = Math.floor(agents / processes);
    for (const [index, load] of loads.entries()) {
      const ports = servers.slice(index, index + 1).map(({ port }) => port);
      await load.connect({ dialect: peer.dialect, ports, count, prefix: `node-${index}` });
    }
    return { servers, loads, redis };
  }

  /** Ends everything, the newest first. One that does not end does not keep the others. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const end of this.#ends.splice(0).reverse()) await end().catch(() => {});
  }
}

function redisOf(url: string, nodes: ReadonlyArray<{ pid: number; port: number }>): BenchRedis {
  const ports = nodes.map(({ port }) => port);
  return {
    url,
    cpuMicros: () => nodes.reduce((sum, { pid }) => sum + cpuMicros(pid), 0),
    beatTtls: () => withClients(ports, ttlsIn),
    eventsWith: async (text) => (await withClients(ports, (redis) => eventsIn(redis, text))).length,
  };
}
