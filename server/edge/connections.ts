import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../runtime/clock.ts';
import { Limited } from '../runtime/limited.ts';
import type { Log } from '../runtime/log.ts';
import { clientKey } from './wrong-tokens.ts';

/** Files that a process needs besides its clients: Redis, logs, timers, the page, other workers. */
const KEPT_BACK = 128;
/** For systems without a known limit. */
const MOST_FILES = 1_048_576;
/** Strangers allowed per address, and in total, after the time to send a token. */
const PER_ADDRESS = 256;
const MOST_STRANGERS = 4_096;
/** Clients send their token as soon as they are connected; in a storm that takes a while. */
const SHOW_WITHIN_MS = 3_000;
/** Connections without a request are ended at most this often: it is a scan of all connections. */
const END_IDLE_EVERY_MS = 1_000;

export interface ConnectionLimits {
  /** Files that this process may open; undefined where the system does not say. */
  openFiles: number | undefined;
  /** All connections come from the address of a proxy, so that only their total is bounded. */
  behindProxy: boolean;
}

/**
 * The network connections of a hub's port. A **stranger** is a connection without a right token so far. No connection
 * is refused for its address, since many machines may share one: if an address, or the hub, has too many strangers, the
 * oldest are ended. As descriptors run short, connections without a request are ended first, then strangers; the last
 * descriptors are kept back for Redis and the hub itself.
 */
export class Connections {
  readonly #server: Server;
  readonly #clock: Clock;
  readonly #log: Log;
  /** The most connections at a time. */
  readonly most: number;
  readonly #perAddress: number;
  readonly #mostStrangers: number;
  /** The oldest first. */
  readonly #strangers = new Map<Duplex, Stranger>();
  readonly #byAddress = new Map<string, Map<Duplex, Stranger>>();
  readonly #full = new Limited();
  #endIdleAt = Number.NEGATIVE_INFINITY;
  /** Strangers that were ended to make room, and connections refused for want of room. */
  readonly ended = { stranger: 0, full: 0 };

  constructor(parts: { server: Server; clock: Clock; log: Log } & ConnectionLimits) {
    this.#server = parts.server;
    this.#clock = parts.clock;
    this.#log = parts.log;
    const files = parts.openFiles ?? MOST_FILES;
    this.most = Math.max(1, files - Math.min(KEPT_BACK, Math.ceil(files / 4)));
    this.#mostStrangers = Math.min(MOST_STRANGERS, Math.ceil(this.most / 4));
    this.#perAddress = parts.behindProxy ? this.#mostStrangers : PER_ADDRESS;
    // Without a listener an error of accept() would end the process.
    parts.server.on('error', (error) => {
      // Before the server listens an error concerns its address: the start of the hub fails with it.
      if (parts.server.listening) this.#sayFull(error.message, undefined);
    });
  }

  /** Connections without a right token so far. */
  get strangers(): number {
    return this.#strangers.size;
  }

  /** A connection was accepted. It is ended again if there is no room. */
  accepted(socket: Socket): void {
    this.#server.getConnections((_error, open) => {
      if (open > this.most * 0.95) this.#makeRoom();
      if (open <= this.most) return;
      this.ended.full += 1;
      socket.destroy();
      this.#sayFull('EMFILE', open);
    });
  }

  /** The connection is served from now on, as a stranger. */
  served(socket: Socket): void {
    const address = clientKey(socket.remoteAddress ?? 'unknown');
    const closed = () => this.#forget(socket);
    const stranger = { socket, address, since: this.#clock.now(), closed };
    const others = this.#byAddress.get(address) ?? new Map<Duplex, Stranger>();
    this.#byAddress.set(address, others.set(socket, stranger));
    this.#strangers.set(socket, stranger);
    socket.on('close', closed);
    const before = stranger.since - SHOW_WITHIN_MS;
    while (others.size > this.#perAddress && this.#endOldest(others, before));
    while (this.#strangers.size > this.#mostStrangers && this.#endOldest(this.#strangers, before));
  }

  /** A right token came on it, or its entrance needs none. */
  known(socket: Duplex): void {
    if (this.#strangers.size > 0) this.#forget(socket);
  }

  #forget(socket: Duplex): void {
    const stranger = this.#strangers.get(socket);
    if (!stranger) return;
    this.#strangers.delete(socket);
    socket.off('close', stranger.closed);
    const others = this.#byAddress.get(stranger.address);
    others?.delete(socket);
    if (others?.size === 0) this.#byAddress.delete(stranger.address);
  }

  /** False if none came before that time. */
  #endOldest(oldestFirst: ReadonlyMap<Duplex, Stranger>, before: number): boolean {
    const [oldest] = oldestFirst.values();
    if (!oldest || oldest.since > before) return false;
    this.#forget(oldest.socket);
    this.ended.stranger += 1;
    oldest.socket.resetAndDestroy();
    return true;
  }

  #makeRoom(): void {
    const now = this.#clock.now();
    this.#endOldest(this.#strangers, now);
    if (now < this.#endIdleAt + END_IDLE_EVERY_MS) return;
    this.#endIdleAt = now;
    this.#server.closeIdleConnections();
  }

  #sayFull(why: string, open: number | undefined): void {
    const times = this.#full.due(this.#clock.now());
    if (times === 0) return;
    this.#log.warn(
      { why, ...(open !== undefined && { open }), most: this.most, times },
      'No file descriptors are left for more connections: raise LimitNOFILE (ulimit -n), or add hubs or workers',
    );
  }
}

interface Stranger {
  socket: Socket;
  address: string;
  since: number;
  closed: () => void;
}
