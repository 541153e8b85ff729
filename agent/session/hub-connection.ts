import type { Agent, IncomingMessage } from 'node:http';
import { type ClientOptions, type RawData, WebSocket } from 'ws';
import { z } from 'zod';
import {
  connectionWords,
  faultOf,
  IN_WORDS,
  KNOWN_HEADER,
  printable,
  readRetryAfterMs,
} from '../../shared/index.ts';
import { readRetryAfterHeader } from './backoff.ts';
import type { AgentClock } from './clock.ts';
import { HUB_BOUNDS, HubBounds } from './hub-bounds.ts';
import { type HubMessage, hubMessageSchema } from './hub-messages.ts';
import type { AgentLogger } from './log.ts';
import type { Ended } from './next-step.ts';

/** The largest message taken from a hub: a `registered` reply repeats a node of up to 32 KiB, escaped. */
const MAX_PAYLOAD_BYTES = 256 * 1024;
/** What is read of a refused upgrade's body. */
const MAX_REFUSAL_LENGTH = 4_096;
/** Above this a peer reads nothing any more; stats are dropped rather than queued. */
const MAX_BUFFERED_BYTES = 64 * 1024;

export interface HubConnectionOptions {
  url: string;
  token?: string;
  localAddress?: string;
  /** The way to the hub, where it is not direct. */
  agent?: Agent;
  /** This agent was registered before: the hub takes it ahead of newcomers. */
  known: boolean;
  /** From the first packet to the WebSocket being open. */
  handshakeTimeoutMs: number;
  /** From there to `settle()`. */
  registerTimeoutMs: number;
  /** For a closing handshake, on whichever side it began (ws' own default is 30 s). */
  closeTimeoutMs: number;
  clock: AgentClock;
  logger: AgentLogger;
}

/** `ended` comes exactly once, unless the connection was abandoned or closed by its owner: then never. */
export interface HubConnectionListener {
  opened(): void;
  message(message: HubMessage): void;
  pong(): void;
  ended(how: Ended): void;
}

const knownTypes: ReadonlySet<string> = new Set(
  hubMessageSchema.options.map((option) => option.shape.type.value),
);

/** Options that ws and node:http take, and the types of `ClientOptions` lack. */
type SocketOptions = ClientOptions & { localAddress?: string; closeTimeout?: number };

function socketOptions(options: HubConnectionOptions): SocketOptions {
  return {
    perMessageDeflate: false,
    maxPayload: MAX_PAYLOAD_BYTES,
    closeTimeout: options.closeTimeoutMs,
    headers: {
      ...(options.token !== undefined && { authorization: `Bearer ${options.token}` }),
      ...(options.known && { [KNOWN_HEADER]: '1' }),
    },
    ...(options.agent && { agent: options.agent }),
    ...(options.localAddress !== undefined && { localAddress: options.localAddress }),
  };
}

/** One WebSocket to one hub, from the connection attempt to its end, with a deadline for every wait. */
export class HubConnection {
  readonly #options: HubConnectionOptions;
  readonly #socket: WebSocket;
  readonly #bounds: HubBounds;
  #listener: HubConnectionListener | undefined;
  #cancelDeadline: (() => void) | undefined;
  #failure: Ended | undefined;
  /** Its own end, once the hub answered the upgrade. */
  localAddress: string | undefined;

  constructor(options: HubConnectionOptions, listener: HubConnectionListener) {
    this.#options = options;
    this.#listener = listener;
    this.#bounds = new HubBounds(options.clock.nowMs());
    this.#socket = new WebSocket(options.url, socketOptions(options));
    this.#listen();
    this.#cancelDeadline = options.clock.after(options.handshakeTimeoutMs, () =>
      this.#fail({ kind: 'failed', message: 'the hub did not answer the connection attempt in time' }),
    );
  }

  /** Host and port of the hub. */
  get host(): string {
    return new URL(this.#options.url).host;
  }

  /** From now on another hears of what happens. */
  hand(listener: HubConnectionListener): void {
    this.#listener = listener;
  }

  /** The registration was answered: no deadline waits any more. */
  settle(): void {
    this.#cancelDeadline?.();
    this.#cancelDeadline = undefined;
  }

  /** Sends a text frame. False where the socket is not open, or too much waits in it already. */
  send(text: string): boolean {
    if (this.#socket.readyState !== WebSocket.OPEN) return false;
    if (this.#socket.bufferedAmount > MAX_BUFFERED_BYTES) return false;
    this.#socket.send(text);
    return true;
  }

  ping(): void {
    if (this.#socket.readyState !== WebSocket.OPEN || this.#socket.bufferedAmount > MAX_BUFFERED_BYTES)
      return;
    this.#socket.ping();
  }

  /** Cuts the connection without a goodbye. */
  abandon(): void {
    this.settle();
    this.#listener = undefined;
    this.#socket.terminate();
  }

  /**
   * Says goodbye with a Close frame, and resolves when the connection is gone: at the deadline it is cut.
   * A connection that is not open yet is cut at once.
   */
  close(code: number, reason: string): Promise<void> {
    this.settle();
    this.#listener = undefined;
    if (this.#socket.readyState === WebSocket.CLOSED) return Promise.resolve();
    const closed = new Promise<void>((resolve) => this.#socket.once('close', () => resolve()));
    if (this.#socket.readyState === WebSocket.CONNECTING) {
      this.#socket.terminate();
      return closed;
    }
    this.#socket.close(code, reason);
    const cancel = this.#options.clock.after(this.#options.closeTimeoutMs, () => this.#socket.terminate());
    return closed.finally(cancel);
  }

  #listen(): void {
    const socket = this.#socket;
    // ws emits `close` after each `error`; the error is only the better explanation.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#failure ??= { kind: 'failed', message: connectionWords(error) };
    });
    socket.on('unexpected-response', (_request, response) => this.#refused(response));
    socket.once('upgrade', ({ socket: { localAddress } }) => {
      this.localAddress = localAddress;
    });
    socket.on('open', () => this.#opened());
    socket.on('message', (data, isBinary) => {
      if (this.#admits()) this.#message(data, isBinary);
    });
    // ws answers it; a flood of them is a flood of pongs.
    socket.on('ping', () => this.#admits());
    socket.on('pong', () => {
      if (this.#admits()) this.#listener?.pong();
    });
    socket.on('close', (code, reason) => {
      // Where there was an error, the code is only the hub's echo of ours.
      this.#end(this.#failure ?? { kind: 'closed', code, reason: reason.toString('utf8') });
    });
  }

  #opened(): void {
    const { clock, registerTimeoutMs } = this.#options;
    this.settle();
    this.#cancelDeadline = clock.after(registerTimeoutMs, () => this.#fail({ kind: 'unanswered' }));
    this.#listener?.opened();
  }

  /** The hub's own answer says in milliseconds how long to wait; a proxy's has the header at most. */
  #refused(response: IncomingMessage): void {
    const { headers } = response;
    const header = readRetryAfterHeader(headers['retry-after'], headers.date);
    let body = '';
    const answered = (): void => {
      const retryAfterMs = (header === undefined ? undefined : readRetryAfterMs(body)) ?? header;
      const why = readWhy(body);
      this.#fail({
        kind: 'refused',
        status: response.statusCode ?? 0,
        ...(why !== undefined && { why }),
        ...(retryAfterMs !== undefined && { retryAfterMs }),
      });
    };
    response.setEncoding('utf8');
    response.on('data', (part: string) => {
      body += part;
      if (body.length > MAX_REFUSAL_LENGTH) answered();
    });
    response.once('end', answered);
    response.once('error', answered);
  }

  /** Counts a frame; one too many ends the connection. */
  #admits(): boolean {
    if (this.#bounds.frame(this.#options.clock.nowMs())) return true;
    this.#fail({
      kind: 'failed',
      message: `the hub sent more than ${HUB_BOUNDS.framesPerSecond} frames a second`,
    });
    return false;
  }

  #message(data: RawData, isBinary: boolean): void {
    if (!this.#bounds.message(this.#options.clock.nowMs())) {
      this.#options.logger.warn({}, 'The hub sends too many messages; some are passed over');
      return;
    }
    const message = isBinary ? undefined : this.#read(data.toString());
    if (message !== undefined) this.#listener?.message(message);
  }

  /** A message of a newer hub is passed over, a broken one is logged by what is wrong, never by its body. */
  #read(text: string): HubMessage | undefined {
    const { logger } = this.#options;
    let raw: unknown;
    try {
      raw = JSON.parse(text);
    } catch {
      logger.warn({}, 'The hub sent a message that is not JSON');
      return undefined;
    }
    const type = typeof raw === 'object' && raw !== null && 'type' in raw ? raw.type : undefined;
    if (typeof type === 'string' && !knownTypes.has(type)) {
      logger.debug(
        { type: type.slice(0, 64) },
        'The hub sent a message of a type that this agent does not know',
      );
      return undefined;
    }
    const parsed = hubMessageSchema.safeParse(raw, IN_WORDS);
    if (parsed.success) return parsed.data;
    const { path, message } = faultOf(parsed.error.issues[0]);
    logger.warn(
      { path: path.map(String).join('.').slice(0, HUB_BOUNDS.wordsLength), problem: message },
      'The hub sent a wrong message',
    );
    return undefined;
  }

  #fail(how: Ended): void {
    const listener = this.#listener;
    this.abandon();
    listener?.ended(how);
  }

  #end(how: Ended): void {
    this.settle();
    const listener = this.#listener;
    this.#listener = undefined;
    listener?.ended(how);
  }
}

/** The hub's reason in the body of a refusal; nothing where it is another server's answer. */
function readWhy(body: string): string | undefined {
  try {
    const { message } = refusalBodySchema.parse(JSON.parse(body));
    return printable(message).slice(0, HUB_BOUNDS.wordsLength);
  } catch {
    return undefined;
  }
}

const refusalBodySchema = z.object({ error: z.string(), message: z.string().min(1) });
