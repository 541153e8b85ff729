import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { oncePerRound } from '../runtime/rounds.ts';
import type { Connections } from './connections.ts';
import { endOnError } from './upgrades.ts';

/** Connections that are served in one round of the event loop: about 5 ms of work if all are agents. */
const SERVED_PER_ROUND = 50;
/** Connections that are accepted in a row before some are served. */
const TAKEN_IN_A_ROW = 2_000;

/**
 * Accepts connections ahead of serving them. The event loop accepts one connection per round, between all other work:
 * in a storm that work is the handshakes and registrations of earlier connections, so the rest would wait in the
 * kernel's backlog until it is full, and a refused client retries after 1, 3 or 7 seconds. So while connections keep
 * coming, rounds are kept short: connections wait here, and are served in groups after a round without a new one, or
 * after `TAKEN_IN_A_ROW`.
 */
export class Arrivals {
  readonly #waiting: Socket[] = [];
  readonly #serve: (socket: Duplex) => void;
  readonly #connections: Connections | undefined;
  #cameThisRound = false;
  #takenInARow = 0;
  readonly #callRound = oncePerRound(() => this.#round());

  /** Stands between this server's port and its own handling of connections. To be called before the server listens. */
  constructor(server: Server, connections?: Connections) {
    this.#connections = connections;
    // An option of `net.Server` that `http.Server` does not take: waiting connections are not read.
    Object.assign(server, { pauseOnConnect: true });
    const handlers = server.listeners('connection');
    server.removeAllListeners('connection');
    this.#serve = (socket) => {
      for (const handler of handlers) handler.call(server, socket);
    };
    server.on('connection', (socket: Socket) => this.#came(socket));
  }

  /** Connections that were accepted and are not served yet; at most as many as the process may have open. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Serves a connection again whose request was handed over for an upgrade that is ignored. */
  serveAgain(socket: Duplex): void {
    this.#serve(socket);
  }

  /** Drops the connections that wait. To be called when the server no longer listens. */
  end(): void {
    for (const socket of this.#waiting.splice(0)) socket.destroy();
  }

  #came(socket: Socket): void {
    // Until the server adds its own listener, an error of the socket would end the process.
    socket.on('error', endOnError);
    this.#waiting.push(socket);
    this.#connections?.accepted(socket);
    this.#cameThisRound = true;
    this.#takenInARow += 1;
    this.#callRound();
  }

  #round(): void {
    const mayWait = this.#cameThisRound && this.#takenInARow < TAKEN_IN_A_ROW;
    this.#cameThisRound = false;
    if (!mayWait) {
      this.#takenInARow = 0;
      for (const socket of this.#waiting.splice(0, SERVED_PER_ROUND)) this.#begin(socket);
    }
    if (this.#waiting.length > 0) this.#callRound();
  }

  #begin(socket: Socket): void {
    socket.off('error', endOnError);
    if (socket.destroyed) return;
    this.#connections?.served(socket);
    this.#serve(socket);
    socket.resume();
  }
}
