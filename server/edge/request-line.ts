import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../runtime/clock.ts';
import type { Reader } from './reader-budget.ts';

/** Requests that wait on one connection for the answers to those before them; more end the connection. */
export const WAITING_OF_ONE = 100;
/** Requests that wait on all connections; beyond it each connection that sends one more ends. */
const WAITING_OF_ALL = 10_000;
/** How long a body may go on that nobody waits for: its request was answered before it was whole. */
const REST_OF_BODY_MS = 1_000;
/** How long waiting requests are begun in one turn of the event loop, before its sockets have theirs. */
const SLICE_MS = 5;

interface Waiting {
  request: IncomingMessage;
  response: ServerResponse;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const busy = new WeakSet<Duplex>();

/** Whether a request of this connection is not answered yet. */
export const isAnswering = (socket: Duplex): boolean => busy.has(socket);

/**
 * One request of a connection at a time: the next begins once the kernel took the answer before it, and after
 * others had a turn. Node begins all requests of one packet at once, 1,300 of them in 64 KiB, and keeps all their
 * answers for somebody who reads none.
 */
export class RequestLine {
  readonly #handle: Handler;
  /** Connections with a request under way. */
  readonly #answering = new Map<Socket, ServerResponse>();
  readonly #clock: Clock;
  /** What waits on each connection that has a request under way and sent another. */
  readonly #waiting = new WeakMap<Socket, Waiting[]>();
  /** Those whose next request may begin. */
  #ready: Socket[] = [];
  #count = 0;
  #turnIsDue = false;

  /** Stands between this server and its handler of requests, which must have been set. */
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

  /** Those whose answers are not taken yet; event streams are among them. */
  *readers(): Generator<Reader, void> {
    for (const [socket, response] of this.#answering) {
      const unreadBytes = Math.max(response.writableLength, socket.writableLength);
      if (unreadBytes > 0) yield { unreadBytes, cutOff: () => void socket.resetAndDestroy() };
    }
  }

  #came(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    // What else was in the packet of a connection that ended.
    if (socket.destroyed) return;
    if (!busy.has(socket)) {
      this.#begin(request, response);
      return;
    }
    const before = this.#waiting.get(socket);
    if ((before?.length ?? 0) >= WAITING_OF_ONE || this.#count >= WAITING_OF_ALL) {
      this.#forget(socket);
      // A reset frees at once what was not read.
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
    // Nothing more is read before what was read is answered.
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

  /** The client had its answer, such as a refusal; what it still sends would be read and thrown away for ever. */
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
    this.#callTurn();
  }

  #callTurn(): void {
    if (this.#turnIsDue) return;
    this.#turnIsDue = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#turnIsDue = false;
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
    if (this.#ready.length > 0) this.#callTurn();
  }

  #beginNext(socket: Socket): void {
    // What waits on a connection that is gone is counted out when it closes.
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
