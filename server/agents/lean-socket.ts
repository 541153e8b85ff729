import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import { endOnError } from '../edge/upgrades.ts';
import { CutFrame, isEmptyPing, PONG, pongFrame, readFrame, textFrame } from './frames.ts';

/** A network socket knows its WebSocket, so that one listener of each kind serves all of them. */
const OWNER = Symbol('owner');
type OwnedStream = Duplex & { [OWNER]?: DirectSocket };

/** How ws takes over a network socket after the handshake. It is not public: `package.json` keeps to one minor version. */
const takeOver: unknown = Reflect.get(WebSocket.prototype, 'setSocket');

const NOTHING = Buffer.alloc(0);
/** A connection that ended without a Close frame (RFC 6455, section 7.1.5). */
const NO_CLOSE_FRAME = 1006;

/**
 * A server's WebSocket that reads and writes by itself what agents send and are sent nearly always: pings, and texts of
 * one frame. Their network socket is handed to ws only when something else comes, or is to be closed: what ws keeps
 * for a socket is a third of all that an idle agent takes. Then everything is left to ws, from the frame on that was
 * something else, so that ws alone judges whether a peer keeps to the protocol.
 *
 * It emits no events: what happens is told by the methods that a subclass has for it. Nothing is compressed.
 */
export abstract class DirectSocket extends WebSocket {
  #stream: OwnedStream | undefined;
  /** What ws takes the stream over with; nothing once it has. */
  #forWs: object | undefined;
  /** The peer may still send. Asking the stream takes longer, and it is asked for each heartbeat. */
  #mayCome = true;
  /** A frame that has come only in part. */
  #cut: CutFrame | undefined;

  /** A ping came; answers whether there is a pong for it. */
  protected abstract pinged(): boolean;
  /** A pong came. */
  protected abstract ponged(): void;
  protected abstract received(data: Buffer, isBinary: boolean): void;
  /** The close has happened, whoever began it. */
  protected abstract closed(code: number, reason: Buffer): void;
  /** The peer broke the protocol, and ws ends the socket. */
  protected abstract broken(error: Error): void;

  /** ws calls this after the handshake, in the turn of the upgrade, with what came beyond it. */
  setSocket(stream: OwnedStream, head: Buffer, options: object): void {
    this.#stream = stream;
    this.#forWs = options;
    stream[OWNER] = this;
    if ('setTimeout' in stream && typeof stream.setTimeout === 'function') stream.setTimeout(0);
    if ('setNoDelay' in stream && typeof stream.setNoDelay === 'function') stream.setNoDelay(true);
    if (head.length > 0) stream.unshift(head);
    stream.on('close', onClose);
    stream.on('data', onData);
    stream.on('end', onEnd);
    stream.on('error', endOnError);
  }

  /** Whether messages may come and go. */
  protected get isOpen(): boolean {
    return this.#forWs ? this.#mayCome : this.readyState === WebSocket.OPEN;
  }

  /** Bytes that the peer has not taken yet. */
  get unreadBytes(): number {
    return this.#stream?.writableLength ?? 0;
  }

  /** Sends a text. To be called while the socket is open. */
  protected sendText(text: string): void {
    // ws, without compression, writes what it sends at once as well.
    this.#stream?.write(textFrame(text));
  }

  override close(code?: number, reason?: string | Buffer): void {
    this.#handOver();
    if (this.readyState !== WebSocket.CONNECTING) super.close(code, reason);
  }

  override terminate(): void {
    this.#handOver();
    if (this.readyState !== WebSocket.CONNECTING) super.terminate();
  }

  /** For the stream's listener. */
  came(stream: OwnedStream, chunk: Buffer): void {
    // Nearly always: a heartbeat, and nothing else.
    if (isEmptyPing(chunk) && !this.#cut) {
      if (this.pinged()) stream.write(PONG);
      return;
    }
    const bytes = this.#cut ? this.#cut.with(chunk) : chunk;
    if (bytes) this.#read(stream, bytes);
  }

  /** Reads frames from where one begins. A message may end the direct reading: the rest is for ws. */
  #read(stream: OwnedStream, bytes: Buffer): void {
    this.#cut = undefined;
    let at = 0;
    while (at < bytes.length && this.#forWs) {
      const frame = readFrame(bytes, at);
      if (frame === 'other') break;
      if ('need' in frame) {
        this.#cut = new CutFrame(bytes.subarray(at), frame.need);
        return;
      }
      at = frame.end;
      if (frame.kind === 'text') this.received(frame.payload, false);
      else if (this.pinged()) stream.write(pongFrame(frame.payload));
    }
    if (at === bytes.length) return;
    this.#handOver();
    stream.emit('data', bytes.subarray(at));
  }

  /** For the stream's listener: the peer sends no more, and is sent no more. */
  ended(stream: OwnedStream): void {
    this.#mayCome = false;
    stream.end();
  }

  /** For the stream's listener. */
  gone(): void {
    this.#forWs = undefined;
    this.closed(NO_CLOSE_FRAME, NOTHING);
  }

  /** From here on ws has the stream, if there still is one. */
  #handOver(): void {
    const stream = this.#stream;
    const options = this.#forWs;
    if (!stream || !options) return;
    this.#forWs = undefined;
    stream.off('close', onClose);
    stream.off('data', onData);
    stream.off('end', onEnd);
    stream.off('error', endOnError);
    if (typeof takeOver !== 'function') throw new TypeError('this version of ws takes no socket over');
    takeOver.call(this, stream, NOTHING, options);
    const cut = this.#cut;
    this.#cut = undefined;
    if (cut) stream.emit('data', cut.bytes());
  }

  /** What ws tells, which it does by events, and nobody else listens to them. */
  override emit(event: string | symbol, ...[first, second]: unknown[]): boolean {
    switch (event) {
      case 'message':
        if (Buffer.isBuffer(first)) this.received(first, second === true);
        return true;
      case 'ping':
        // ws would answer it too, but ends a socket with too many waiting pongs without a close code, and so also
        // that of an agent whose pings of a minute came at once.
        if (Buffer.isBuffer(first) && this.pinged()) this.pong(first);
        return true;
      case 'pong':
        this.ponged();
        return true;
      case 'close':
        if (typeof first === 'number' && Buffer.isBuffer(second)) this.closed(first, second);
        return true;
      case 'error':
        if (first instanceof Error) this.broken(first);
        return true;
      default:
        return super.emit(event, first, second);
    }
  }
}

function onData(this: OwnedStream, chunk: Buffer): void {
  this[OWNER]?.came(this, chunk);
}

function onEnd(this: OwnedStream): void {
  this[OWNER]?.ended(this);
}

function onClose(this: OwnedStream): void {
  this[OWNER]?.gone();
}
