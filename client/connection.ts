import { io, type Socket } from 'socket.io-client';
import { CLIENT_LIMITS, connectErrorSchema, connectionWords, DASHBOARD_PATH } from '../shared/index.ts';
import { Backoff } from './backoff.ts';

export interface ConnectionOptions {
  /** `http(s)://host:port`, with a path where a proxy puts the hub below one. */
  hubUrl: string;
  /** One of the hub's dashboard tokens, where it has some. */
  token?: string | undefined;
  /** In Node an `http.Agent` that leads to the hub, for example through a proxy. */
  agent?: object | undefined;
  /** The first pause before the hub is tried again, milliseconds; later ones grow to 10 s. Default 1,000. */
  reconnectDelayMs?: number | undefined;
  /**
   * How often the hub is asked for a sign of life, milliseconds; without one for as long, and 4 s at least, the
   * connection is made again. Default 10,000.
   */
  echoEveryMs?: number | undefined;
}

export interface ConnectionListener {
  connected(): void;
  /** The connection is gone; it is tried again. */
  lost(why: string): void;
  /** An attempt failed; it is tried again. */
  failed(why: string): void;
  /** The hub refuses this token: nothing is tried again. */
  refused(code: 'unauthenticated' | 'forbidden', message: string): void;
  /** Something came from the hub. */
  heard(): void;
  message(name: string, payload: unknown): void;
}

/** How long an attempt to connect may take, and an answer of the hub. */
const CONNECT_WITHIN_MS = 20_000;
const ANSWER_WITHIN_MS = 15_000;
const LONGEST_RECONNECT_MS = 10_000;
const ECHO_EVERY_MS = 10_000;
const ECHO_WITHIN_MS = 4_000;

/** For ws in Node. Nothing is compressed on the way: pages are gzip where that is asked for. */
const WIRE: object = { perMessageDeflate: false, maxPayload: CLIENT_LIMITS.messageBytes };

/** One Socket.IO connection to a hub, made again after each loss until it is closed. */
export class HubConnection {
  readonly #socket: Socket;
  readonly #listener: ConnectionListener;
  readonly #echoEveryMs: number;
  readonly #backoff: Backoff;
  /** The deadline of an attempt, or the pause before the next. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #echoTimer: ReturnType<typeof setInterval> | undefined;
  #echoWaits = false;
  #closed = false;
  #bytes = 0;
  /** Counts what came from the hub. */
  #heardOf = 0;
  readonly #counted = new WeakSet<object>();

  constructor(options: ConnectionOptions, listener: ConnectionListener) {
    const { hubUrl, token, agent, reconnectDelayMs = 1_000, echoEveryMs = ECHO_EVERY_MS } = options;
    this.#listener = listener;
    this.#echoEveryMs = echoEveryMs;
    this.#backoff = new Backoff(reconnectDelayMs, LONGEST_RECONNECT_MS);
    const url = new URL(hubUrl);
    const way: object = agent === undefined ? {} : { agent };
    this.#socket = io(url.origin, {
      ...WIRE,
      ...way,
      path: `${url.pathname.replace(/\/+$/, '')}${DASHBOARD_PATH}`,
      transports: ['websocket'],
      forceNew: true,
      autoConnect: false,
      // Each failure, of whatever kind, has the pauses of `Backoff`.
      reconnection: false,
      auth: token === undefined ? {} : { token },
    });
    this.#listen();
    this.#connect();
  }

  get connected(): boolean {
    return this.#socket.connected;
  }

  /**
   * Sends a request. `answered` is called before anything that comes after the answer: a promise would come too late. An
   * error is that the hub is away, or silent for 15 s.
   */
  ask(message: string, payload: object, answered: (error: Error | null, answer: unknown) => void): void {
    if (this.#socket.connected) this.#socket.timeout(ANSWER_WITHIN_MS).emit(message, payload, answered);
    else answered(new Error('the hub is away'), undefined);
  }

  /** Sends what needs no answer; nothing while the hub is away. */
  send(message: string, payload: object): void {
    if (this.#socket.connected) this.#socket.emit(message, payload);
  }

  /** Tests the connection, or makes it, at once: the machine woke up, or is on another network. */
  checkNow(): void {
    if (this.#closed) return;
    if (this.#socket.connected) this.#echo();
    else this.#again(0);
  }

  /** Bytes that came since the last call. */
  takeBytes(): number {
    const bytes = this.#bytes;
    this.#bytes = 0;
    return bytes;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearInterval(this.#echoTimer);
    this.#socket.offAny();
    this.#socket.removeAllListeners();
    this.#socket.io.removeAllListeners();
    this.#socket.disconnect();
  }

  #listen(): void {
    const socket = this.#socket;
    socket.on('connect', () => this.#connected());
    socket.on('disconnect', (why) => this.#lost(why));
    socket.on('connect_error', (error) => this.#failed(error));
    socket.onAny((name: string, payload: unknown) => {
      this.#heard();
      this.#listener.message(name, payload);
    });
    socket.io.on('ping', () => this.#heard());
  }

  #connect(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#socket.disconnect();
      this.#failed(new Error(`no answer within ${CONNECT_WITHIN_MS / 1_000} s`));
    }, CONNECT_WITHIN_MS);
    this.#socket.connect();
  }

  #again(afterMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), afterMs);
  }

  #connected(): void {
    clearTimeout(this.#timer);
    this.#backoff.good();
    this.#heard();
    this.#count();
    this.#echoTimer = setInterval(() => this.#echo(), this.#echoEveryMs);
    this.#listener.connected();
  }

  #lost(why: string): void {
    clearInterval(this.#echoTimer);
    this.#echoWaits = false;
    this.#again(this.#backoff.next());
    this.#listener.lost(wordsFor[why] ?? why);
  }

  #failed(error: Error): void {
    const refusal = connectErrorSchema.safeParse('data' in error ? error.data : undefined);
    if (refusal.success) {
      this.close();
      this.#listener.refused(refusal.data.code, error.message);
      return;
    }
    this.#again(this.#backoff.next());
    this.#listener.failed(reasonOf(error));
  }

  #heard(): void {
    this.#heardOf += 1;
    this.#listener.heard();
  }

  /** Counts what comes, once for each connection below: several sockets may use one after the other. */
  #count(): void {
    this.#bytes = 0;
    const { engine } = this.#socket.io;
    if (this.#counted.has(engine)) return;
    this.#counted.add(engine);
    engine.on('packet', ({ data }) => {
      const bytes = bytesOf(data);
      this.#bytes += bytes;
      if (bytes > CLIENT_LIMITS.messageBytes) engine.close();
    });
  }

  /**
   * Engine.IO notices a dead connection after 30 s. A request that names no node, which a hub refuses without any work,
   * tells earlier. While a large picture arrives its answer may be late, but not the picture.
   */
  #echo(): void {
    if (this.#echoWaits || !this.#socket.connected) return;
    this.#echoWaits = true;
    const { id } = this.#socket;
    const before = this.#heardOf;
    const within = Math.max(this.#echoEveryMs, ECHO_WITHIN_MS);
    this.#socket.timeout(within).emit('node', {}, (error: Error | null) => {
      if (id !== this.#socket.id || this.#closed) return;
      this.#echoWaits = false;
      if (!error) this.#heard();
      // `disconnect` is heard as any other loss.
      else if (this.#heardOf === before) this.#socket.disconnect();
    });
  }
}

const wordsFor: Readonly<Record<string, string>> = {
  'io server disconnect': 'the hub ended the connection',
  'io client disconnect': 'the hub stopped answering',
  'ping timeout': 'the hub stopped answering',
  'transport close': 'the connection broke',
  'transport error': 'the connection broke',
};

/** Bytes of a packet, about: texts are nearly all ASCII. */
function bytesOf(data: unknown): number {
  if (typeof data === 'string') return data.length;
  return data instanceof Uint8Array || data instanceof ArrayBuffer ? data.byteLength : 0;
}

/** Why a connection failed: the error of the socket below, where there is one. */
function reasonOf(error: Error): string {
  const below: unknown = 'description' in error ? error.description : undefined;
  const event = typeof below === 'object' && below !== null ? below : {};
  if (below instanceof Error) return connectionWords(below);
  if ('error' in event && event.error instanceof Error) return connectionWords(event.error);
  if ('message' in event && typeof event.message === 'string' && event.message !== '') return event.message;
  // The browser tells no page why.
  return error.message === 'websocket error' ? 'the hub does not answer' : connectionWords(error);
}
