import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Connections } from './connections.ts';
import { endOnError } from './upgrades.ts';

/** Connections that are served in one turn of the event loop: about 5 ms of work where all of them are agents. */
const SERVED_A_TURN = 50;
/** Connections that are taken in while nobody new is served, as long as they come. */
const TAKEN_IN_A_ROW = 2_000;

/**
 * Takes connections in before it serves them. The event loop accepts one connection a turn, between all its other
 * work: in a storm that work is the handshakes and registrations of those who came first, so the rest would wait in
 * the kernel's backlog until it is full, and whoever finds it full comes again after 1, 3 or 7 seconds. So while
 * connections keep coming, turns are kept short: they wait here, and are served some at a time when nobody came for a
 * turn, or when very many were taken in.
 */
export class Arrivals {
  readonly #waiting: Socket[] = [];
  readonly #serve: (socket: Duplex) => void;
  readonly #connections: Connections | undefined;
  #cameThisTurn = false;
  #takenInARow = 0;
  #turnIsDue = false;

  /** Stands between this server's port and its own handling of connections. To be called before it listens. */
  constructor(server: Server, connections?: Connections) {
    this.#connections = connections;
    // An option of `net.Server` that `http.Server` does not take: nothing is read from those who wait.
    Object.assign(server, { pauseOnConnect: true });
    const handlers = server.listeners('connection');
    server.removeAllListeners('connection');
    this.#serve = (socket) => {
      for (const handler of handlers) handler.call(server, socket);
    };
    server.on('connection', (socket: Socket) => this.#came(socket));
  }

  /** Connections that were taken in and are not served yet; as many as the process may have open at the most. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Serves one again whose request was handed over for an upgrade that is ignored. */
  serveAgain(socket: Duplex): void {
    this.#serve(socket);
  }

  /** Nobody who still waits is served any more. To be called when the server no longer listens. */
  end(): void {
    for (const socket of this.#waiting.splice(0)) socket.destroy();
  }

  #came(socket: Socket): void {
    // Until the server has its own, an error of the socket would end the process.
    socket.on('error', endOnError);
    this.#waiting.push(socket);
    this.#connections?.accepted(socket);
    this.#cameThisTurn = true;
    this.#takenInARow += 1;
    this.#callTurn();
  }

  #callTurn(): void {
    if (this.#turnIsDue) return;
    this.#turnIsDue = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#turnIsDue = false;
    const mayWait = this.#cameThisTurn && this.#takenInARow < TAKEN_IN_A_ROW;
    this.#cameThisTurn = false;
    if (!mayWait) {
      this.#takenInARow = 0;
      for (const socket of this.#waiting.splice(0, SERVED_A_TURN)) this.#begin(socket);
    }
    if (this.#waiting.length > 0) this.#callTurn();
  }

  #begin(socket: Socket): void {
    socket.off('error', endOnError);
    if (socket.destroyed) return;
    this.#connections?.served(socket);
    this.#serve(socket);
    socket.resume();
  }
}
