import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import { LIMITS } from '../../shared/index.ts';

/** The WebSocket of one agent, as its connection uses it. */
export interface Channel {
  /** Whether messages can be sent and received. */
  readonly isOpen: boolean;
  /** Bytes that the agent has not taken yet. */
  readonly unreadBytes: number;
  /** Sends a text message. To be called while the channel is open. */
  sendText(text: string): void;
  /** Begins the closing handshake. */
  close(code: number, reason: string): void;
  /** Ends the network connection at once. */
  terminate(): void;
}

/** Receives the events of a channel. */
export interface ChannelOwner {
  /** A ping came. The result is whether it is answered with a pong. */
  pinged(): boolean;
  ponged(): void;
  received(data: Buffer, isBinary: boolean): void;
  /** The close is complete, on whichever side it began. */
  closed(code: number, reason: Buffer): void;
  /** The agent broke the protocol; the channel closes by itself. */
  broken(error: Error): void;
}

/**
 * The method by which ws takes over a network socket after a handshake. An inside of ws: docs/ARCHITECTURE.md names its
 * guard.
 */
const takeOver: unknown = Reflect.get(WebSocket.prototype, 'setSocket');

/** The options with which ws constructs the WebSockets of a server. */
const SOCKET_OPTIONS = { autoPong: false, closeTimeout: 5_000 };

/** A channel over a WebSocket of ws. */
export class WsChannel implements Channel {
  readonly #socket: WebSocket;
  readonly #stream: Duplex;

  /** `frameOptions` are the ones that ws passes to `setSocket`. */
  constructor(owner: ChannelOwner, stream: Duplex, frameOptions: object) {
    if (typeof takeOver !== 'function') throw new TypeError('this version of ws takes no socket over');
    const socket: WebSocket = Reflect.construct(WebSocket, [null, undefined, SOCKET_OPTIONS]);
    this.#socket = socket;
    this.#stream = stream;
    socket.on('message', (data, isBinary) => {
      if (Buffer.isBuffer(data)) owner.received(data, isBinary);
    });
    // Not ws's `autoPong`: too many waiting pongs end the socket without a close code, and an agent reaches that limit
    // when its pings of a minute come at once.
    socket.on('ping', (data) => {
      if (owner.pinged()) socket.pong(data);
    });
    socket.on('pong', () => owner.ponged());
    socket.on('close', (code, reason) => owner.closed(code, reason));
    socket.on('error', (error) => owner.broken(error));
    takeOver.call(socket, stream, Buffer.alloc(0), frameOptions);
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  get unreadBytes(): number {
    return this.#stream.writableLength;
  }

  sendText(text: string): void {
    this.#socket.send(text);
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  terminate(): void {
    this.#socket.terminate();
  }
}

/** A network socket after its handshake: the bytes beyond the handshake, and the options for ws to take it over. */
interface Upgraded {
  stream: Duplex;
  head: Buffer;
  frameOptions: object;
}

/** Stands in for the WebSocket that ws makes at a handshake; short-lived. */
class Handshake extends WebSocket {
  upgraded: Upgraded | undefined;

  /** ws calls this instead of its own method. */
  setSocket(stream: Duplex, head: Buffer, frameOptions: object): void {
    this.upgraded = { stream, head, frameOptions };
  }
}

/** Performs the handshakes of agents' WebSockets, by ws. */
export class Handshakes {
  readonly #server = new WebSocketServer({
    noServer: true,
    WebSocket: Handshake,
    clientTracking: false,
    maxPayload: LIMITS.frameBytes,
    maxFragments: 16,
    perMessageDeflate: false,
    ...SOCKET_OPTIONS,
  });
  /** The same for all sockets. */
  #frameOptions: object | undefined;

  /** Calls `done` synchronously, unless the handshake was refused. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, done: (upgraded: Upgraded) => void): void {
    this.#server.handleUpgrade(request, socket, head, ({ upgraded }) => {
      if (!upgraded) throw new TypeError('this version of ws hands no socket over');
      this.#frameOptions ??= upgraded.frameOptions;
      done({ ...upgraded, frameOptions: this.#frameOptions });
    });
  }

  close(): void {
    this.#server.close();
  }
}
