import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../runtime/clock.ts';
import { oncePerRound } from '../runtime/rounds.ts';
import type { Reader } from './reader-budget.ts';

/** Requests of one connection that wait for the answers to earlier ones; more end the connection. */
export const WAITING_OF_ONE = 100;
/** Waiting requests of all connections; beyond it a connection that sends one more is ended. */
const WAITING_OF_ALL = 10_000;
/** How long the rest of a body may take after its request was answered. */
const REST_OF_BODY_MS = 1_000;
/** The time for starting waiting requests in one round of the event loop, before sockets are read again. */
const SLICE_MS = 5;

const busy = new WeakSet<Duplex>();

/** Whether a request of this connection is not answered yet. */
export const isAnswering = (socket: Duplex): boolean => busy.has(socket);

/**
 * One request of a connection at a time: the next begins once the kernel took the previous answer, and after other
 * connections were served. Node itself begins all requests of one packet at once, over a thousand in 64 KiB, and keeps
 * all answers for a client that reads none.
 */
export class RequestLine {
  readonly #handle: Handler;
  /** Connections with a request in progress. */
  readonly #answering = new Map<Socket, ServerResponse>();
  readonly #clock: Clock;
  /** Requests that wait, by connection. */
  readonly #waiting = new WeakMap<Socket, Waiting[]>();
  /** Connections whose next request may begin. */
  #ready: Socket[] = [];
  #count = 0;
  readonly #callRound = oncePerRound(() => this.#round());

  /** Stands between this server and its request handler, which must have been set. */
  constructor(server: Server, clock: Clock) {
    const handlers = server.listeners('request');
    server.removeAllListeners('request');
    this.#handle = (request, response) => {
      for (const handler of handlers) handler.call(server, request, response);
    };
    this.#clock = clock;
    server.on('request', (request, response) => this.#came(request, response));
  }

  /** Requests that were read and wait for the answers to others. */
  get waiting(): number {
    return this.#count;
  }

  /** Connections whose answers are not taken yet; event streams are among these. */
  *readers(): Generator<Reader, void> {
    for (const [socket, response] of this.#answering) {
      const unreadBytes = Math.max(response.writableLength, socket.writableLength);
      if (unreadBytes > 0) yield { unreadBytes, cutOff: () => void socket.resetAndDestroy() };
    }
  }

  #came(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    // The rest of a packet of a connection that ended.
    if (socket.destroyed) return;
    if (!busy.has(socket)) {
      this.#begin(request, response);
      return;
    }
    const before = this.#waiting.get(socket);
    if ((before?.length ?? 0) >= WAITING_OF_ONE || this.#count >= WAITING_OF_ALL) {
      this.#forget(socket);
      // A reset frees at once what the client did not read.
      socket.resetAndDestroy();
      return;
    }
    this.#count += 1;
    if (before) {
      before.push({ request, response });
      return;
    }
    this.#waiting.set(socket, [{ request, response }]);
    socket.once('close', () => this.#forget(socket));
    // No more is read before the requests at hand are answered.
    socket.pause();
  }

  #begin(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    busy.add(socket);
    this.#answering.set(socket, response);
    response.once('close', () => {
      if (!request.complete) this.#endWithBody(request);
      this.#ended(socket);
    });
    this.#handle(request, response);
  }

  /** The client had its answer, such as a refusal; the rest of its body would be read and dropped without end. */
  #endWithBody(request: IncomingMessage): void {
    if (request.socket.destroyed) return;
    this.#clock.after(REST_OF_BODY_MS, () => {
      if (!request.complete) request.socket.destroy();
    });
  }

  #ended(socket: Socket): void {
    this.#answering.delete(socket);
    if (!this.#waiting.has(socket)) {
      busy.delete(socket);
      return;
    }
    this.#ready.push(socket);
    this.#callRound();
  }

  #round(): void {
    const ends = this.#clock.now() + SLICE_MS;
    const sockets = this.#ready;
    this.#ready = [];
    let begun = 0;
    for (const socket of sockets) {
      if (begun > 0 && this.#clock.now() >= ends) break;
      begun += 1;
      this.#beginNext(socket);
    }
    this.#ready = [...sockets.slice(begun), ...this.#ready];
    if (this.#ready.length > 0) this.#callRound();
  }

  #beginNext(socket: Socket): void {
    // Requests of a closed connection are counted out by its close event.
    const waiting = socket.destroyed ? undefined : this.#waiting.get(socket);
    const next = waiting?.shift();
    if (!next) return;
    this.#count -= 1;
    this.#begin(next.request, next.response);
    if (waiting?.length !== 0) return;
    this.#waiting.delete(socket);
    socket.resume();
  }

  #forget(socket: Socket): void {
    this.#count -= this.#waiting.get(socket)?.length ?? 0;
    this.#waiting.delete(socket);
  }
}

interface Waiting {
  request: IncomingMessage;
  response: ServerResponse;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;
