import { isIP, type LookupFunction, connect as netConnect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import type { Ended } from '../agent/session/next-step.ts';
import { FrameReader } from './frame-reader.ts';
import { clientFrame } from './frames.ts';
import { readAnswer, upgradeRequest } from './handshake.ts';

const CLOSE = 0x8;
const PONG = 0xa;
/** A hub that has sent its Close frame, or has been sent one, gets this long to end the connection. */
const CLOSING_MS = 3_000;

/** What comes over a link. `ended` comes exactly once, unless the link was cut by its owner: then never. */
export interface LinkListener {
  opened(): void;
  text(text: string): void;
  pong(): void;
  ended(how: Ended): void;
}

/** One WebSocket of a simulated agent. */
export interface Link {
  /** Bytes of whole frames, or pieces of them. */
  write(bytes: Buffer): void;
  /** Stops taking bytes from the socket, until `resume`. */
  pause(): void;
  resume(): void;
  /** The agent's own Close frame. The hub's answer is still waited for. */
  goodbye(code: number): void;
  /** As a machine that vanishes: RST, no Close frame. */
  reset(): void;
}

export interface DialOptions {
  url: URL;
  token?: string;
  known: boolean;
  localAddress?: string;
  lookup?: LookupFunction;
}

export type Dial = (options: DialOptions, listener: LinkListener) => Link;

/** A WebSocket made of a bare socket: the simulator must not be what is measured. */
export const dialSocket: Dial = (options, listener) => new SocketLink(options, listener);

function closeFrame(code: number): Buffer {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return clientFrame(CLOSE, payload);
}

class SocketLink implements Link {
  /** The TCP socket: the one below, where there is TLS. */
  readonly #tcp: Socket;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  #listener: LinkListener | undefined;
  #head: Buffer | undefined = Buffer.alloc(0);
  #how: Ended | undefined;

  constructor(options: DialOptions, listener: LinkListener) {
    const { url, localAddress, lookup } = options;
    const secure = url.protocol === 'wss:';
    const host = url.hostname.replace(/^\[|\]$/g, '');
    this.#listener = listener;
    this.#reader = new FrameReader({
      text: (text) => this.#listener?.text(text),
      pong: () => this.#listener?.pong(),
      ping: (payload) => this.write(clientFrame(PONG, payload)),
      close: (code, reason) => this.#closed(code, reason),
      broken: (why) => this.#fail(`the hub sent ${why}`),
    });
    this.#tcp = netConnect({
      host,
      port: Number(url.port || (secure ? 443 : 80)),
      noDelay: true,
      ...(localAddress !== undefined && { localAddress, family: isIP(localAddress) }),
      ...(lookup && { lookup }),
    });
    this.#socket = secure
      ? tlsConnect({ socket: this.#tcp, ...(isIP(host) === 0 && { servername: host }) })
      : this.#tcp;
    this.#listen(options, secure ? 'secureConnect' : 'connect');
  }

  #listen({ url, token, known }: DialOptions, ready: 'connect' | 'secureConnect'): void {
    const failed = (error: NodeJS.ErrnoException): void => {
      this.#how ??= { kind: 'failed', message: error.code ?? error.message };
    };
    this.#socket.once(ready, () => this.#socket.write(upgradeRequest(url, token, known)));
    this.#socket.on('data', (chunk: Buffer) => this.#received(chunk));
    this.#socket.on('error', failed);
    this.#socket.on('close', () => this.#end());
    if (this.#tcp === this.#socket) return;
    // TLS over a socket that fails to connect does not always say so itself.
    this.#tcp.on('error', failed);
    this.#tcp.on('close', () => this.#socket.destroy());
  }

  write(bytes: Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  goodbye(code: number): void {
    if (this.#head !== undefined) this.#fail('stopped before the connection was open');
    this.write(closeFrame(code));
    this.#expire();
  }

  reset(): void {
    this.#listener = undefined;
    this.#tcp.resetAndDestroy();
    this.#socket.destroy();
  }

  #received(chunk: Buffer): void {
    if (this.#head === undefined) {
      this.#reader.push(chunk);
      return;
    }
    this.#head = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
    const answer = readAnswer(this.#head);
    if (answer === undefined) return;
    if (answer.kind !== 'open') {
      this.#how ??= answer;
      this.#socket.destroy();
      return;
    }
    this.#head = undefined;
    this.#listener?.opened();
    if (answer.rest.length > 0) this.#reader.push(answer.rest);
  }

  /** The hub's Close frame: its own, or its answer to ours. */
  #closed(code: number, reason: string): void {
    this.#how ??= { kind: 'closed', code, reason };
    if (this.#socket.writable) this.#socket.end(closeFrame(code === 1005 ? 1000 : code));
    this.#expire();
  }

  #expire(): void {
    this.#socket.setTimeout(CLOSING_MS, () => this.#socket.destroy());
  }

  #fail(message: string): void {
    this.#how ??= { kind: 'failed', message };
    this.#socket.destroy();
  }

  #end(): void {
    const listener = this.#listener;
    this.#listener = undefined;
    const open = this.#head === undefined;
    // An error of an open connection is a close without a Close frame.
    if (open && this.#how?.kind !== 'closed') this.#how = { kind: 'closed', code: 1006, reason: '' };
    listener?.ended(this.#how ?? { kind: 'failed', message: 'the connection ended without an answer' });
  }
}
