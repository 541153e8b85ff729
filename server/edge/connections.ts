import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../runtime/clock.ts';
import { Limited } from '../runtime/limited.ts';
import type { Log } from '../runtime/log.ts';
import { clientKey } from './wrong-tokens.ts';

/** Files that a process needs besides its clients: Redis, logs, timers, the page, other workers. */
const KEPT_BACK = 128;
/** Where the system says nothing of a limit. */
const MOST_FILES = 1_048_576;
/** Strangers that one address may have, and all together, once they had the time to show a token. */
const PER_ADDRESS = 256;
const MOST_STRANGERS = 4_096;
/** Clients show their token as soon as they are connected; in a storm that takes a while. */
const SHOW_WITHIN_MS = 3_000;
/** Connections without a request are ended at most this often: it looks at all of them. */
const END_IDLE_EVERY_MS = 1_000;

export interface ConnectionLimits {
  /** Files that this process may open; undefined where the system does not say. */
  openFiles: number | undefined;
  /** All come from the address of a proxy, so that only their total is bounded. */
  behindProxy: boolean;
}

interface Stranger {
  socket: Socket;
  address: string;
  since: number;
  closed: () => void;
}

/**
 * The network connections of a hub's port. A **stranger** is one on which no right token was shown yet. Nobody is refused
 * for an address, since many machines may share one: where an address, or all together, have too many strangers, the
 * oldest of them are ended. As descriptors run short, connections without a request go first, then strangers; the last
 * ones are kept back for Redis and whatever else the hub itself needs.
 */
export class Connections {
  readonly #server: Server;
  readonly #clock: Clock;
  readonly #log: Log;
  /** Connections that may be open at a time. */
  readonly most: number;
  readonly #perAddress: number;
  readonly #mostStrangers: number;
  /** The oldest first. */
  readonly #strangers = new Map<Duplex, Stranger>();
  readonly #byAddress = new Map<string, Map<Duplex, Stranger>>();
  readonly #full = new Limited();
  #endIdleAt = Number.NEGATIVE_INFINITY;
  /** Strangers that were ended to make room, and connections for which there was none. */
  readonly ended = { stranger: 0, full: 0 };

  constructor(parts: { server: Server; clock: Clock; log: Log } & ConnectionLimits) {
    this.#server = parts.server;
    this.#clock = parts.clock;
    this.#log = parts.log;
    const files = parts.openFiles ?? MOST_FILES;
    this.most = Math.max(1, files - Math.min(KEPT_BACK, Math.ceil(files / 4)));
    this.#mostStrangers = Math.min(MOST_STRANGERS, Math.ceil(this.most / 4));
    this.#perAddress = parts.behindProxy ? this.#mostStrangers : PER_ADDRESS;
    // Without a listener the failure to accept a connection would end the process.
    parts.server.on('error', (error) => {
      // One that comes before it listens is of its address: the start of the hub fails with it.
      if (parts.server.listening) this.#sayFull(error.message, undefined);
    });
  }

  /** Connections on which no right token was shown yet. */
  get strangers(): number {
    return this.#strangers.size;
  }

  /** One was accepted. It is ended again where there is no room for it. */
  accepted(socket: Socket): void {
    this.#server.getConnections((_error, open) => {
      if (open > this.most * 0.95) this.#makeRoom();
      if (open <= this.most) return;
      this.ended.full += 1;
      socket.destroy();
      this.#sayFull('EMFILE', open);
    });
  }

  /** It is served from now on, as a stranger. */
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

  /** A right token was shown on it, or its entrance asks for none. */
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

  /** False where there is none that came before. */
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
