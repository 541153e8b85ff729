import { isUtf8 } from 'node:buffer';
import type { Duplex } from 'node:stream';
import { endOnError } from '../edge/upgrades.ts';
import { type Channel, type ChannelOwner, WsChannel } from './channel.ts';

/** A network socket refers to its channel, so that one listener of each kind serves all sockets. */
const CHANNEL = Symbol('channel');

/** A connection that ended without a Close frame (RFC 6455, section 7.1.5). */
const NO_CLOSE_FRAME = 1006;
const NOTHING = Buffer.alloc(0);

/**
 * A channel that itself reads and writes the frames that agents use nearly always: pings, and texts of one frame. At
 * any other frame, and for a close, it hands the network socket to ws, from that frame on: so ws alone enforces the
 * protocol, and the objects that ws needs for a socket exist only where necessary. Nothing is compressed.
 */
export class LeanChannel implements Channel {
  readonly #owner: ChannelOwner;
  readonly #stream: LeanStream;
  readonly #frameOptions: object;
  /** Absent while frames are read here. */
  #next: WsChannel | 'gone' | undefined;
  /** Whether the peer may still send. The stream's own property is slower, and this is read for each heartbeat. */
  #mayCome = true;
  /** An incomplete frame. */
  #cut: CutFrame | undefined;

  /** To be called synchronously at the upgrade, with the bytes beyond the handshake. */
  constructor(owner: ChannelOwner, stream: LeanStream, head: Buffer, frameOptions: object) {
    this.#owner = owner;
    this.#stream = stream;
    this.#frameOptions = frameOptions;
    stream[CHANNEL] = this;
    if ('setTimeout' in stream && typeof stream.setTimeout === 'function') stream.setTimeout(0);
    if ('setNoDelay' in stream && typeof stream.setNoDelay === 'function') stream.setNoDelay(true);
    if (head.length > 0) stream.unshift(head);
    stream.on('close', onClose);
    stream.on('data', onData);
    stream.on('end', onEnd);
    // A socket that came through the hub's port has this listener from the upgrade.
    stream.off('error', endOnError);
    stream.on('error', endOnError);
  }

  get isOpen(): boolean {
    const next = this.#next;
    if (next === undefined) return this.#mayCome;
    return next !== 'gone' && next.isOpen;
  }

  get unreadBytes(): number {
    return this.#stream.writableLength;
  }

  sendText(text: string): void {
    if (this.#next === undefined) this.#stream.write(textFrame(text));
    else if (this.#next !== 'gone') this.#next.sendText(text);
  }

  close(code: number, reason: string): void {
    this.#handOver()?.close(code, reason);
  }

  terminate(): void {
    this.#handOver()?.terminate();
  }

  /** For the stream's listener. */
  came(chunk: Buffer): void {
    // The hot path: a chunk that is one heartbeat.
    if (isEmptyPing(chunk) && !this.#cut) {
      if (this.#owner.pinged()) this.#stream.write(PONG);
      return;
    }
    const bytes = this.#cut ? this.#cut.with(chunk) : chunk;
    if (bytes) this.#read(bytes);
  }

  /** Reads frames from the beginning of one. A message may end this loop: the rest is for ws. */
  #read(bytes: Buffer): void {
    this.#cut = undefined;
    let at = 0;
    while (at < bytes.length && this.#next === undefined) {
      const frame = readFrame(bytes, at);
      if (frame === 'other') break;
      if ('need' in frame) {
        this.#cut = new CutFrame(bytes.subarray(at), frame.need);
        return;
      }
      at = frame.end;
      if (frame.kind === 'text') this.#owner.received(frame.payload, false);
      else if (this.#owner.pinged()) this.#stream.write(pongFrame(frame.payload));
    }
    if (at === bytes.length) return;
    this.#handOver();
    this.#stream.emit('data', bytes.subarray(at));
  }

  /** For the stream's listener: both directions have ended. */
  ended(): void {
    this.#mayCome = false;
    this.#stream.end();
  }

  /** For the stream's listener. */
  gone(): void {
    this.#next = 'gone';
    this.#owner.closed(NO_CLOSE_FRAME, NOTHING);
  }

  /** From here on ws has the stream, if it still exists. */
  #handOver(): WsChannel | undefined {
    if (this.#next !== undefined) return this.#next === 'gone' ? undefined : this.#next;
    const stream = this.#stream;
    stream.off('close', onClose);
    stream.off('data', onData);
    stream.off('end', onEnd);
    stream.off('error', endOnError);
    const next = new WsChannel(this.#owner, stream, this.#frameOptions);
    this.#next = next;
    const cut = this.#cut;
    this.#cut = undefined;
    if (cut) stream.emit('data', cut.bytes());
    return next;
  }
}

function onData(this: LeanStream, chunk: Buffer): void {
  this[CHANNEL]?.came(chunk);
}

function onEnd(this: LeanStream): void {
  this[CHANNEL]?.ended();
}

function onClose(this: LeanStream): void {
  this[CHANNEL]?.gone();
}

/*
 * The frames of a WebSocket (RFC 6455, section 5.2) that are read and written here. The first byte of
 * each says that it is final and uses no extension.
 */
const TEXT = 0x81;
const PING = 0x89;
const PONG_FIRST = 0x8a;
/** Of the second byte: what a client sends is masked, by four bytes before the payload. */
const MASKED = 0x80;
const MASK_BYTES = 4;
/** The lengths in the second byte which stand for a length in the two, or eight, bytes after it. */
const IN_TWO_BYTES = 126;
const IN_EIGHT_BYTES = 127;
const MOST_IN_TWO_BYTES = 0xffff;

/** An empty pong. */
const PONG = Buffer.from([PONG_FIRST, 0]);

/** Whether a chunk is exactly one empty ping of a client. */
function isEmptyPing(chunk: Buffer): boolean {
  return chunk.length === 2 + MASK_BYTES && chunk[0] === PING && chunk[1] === MASKED;
}

/** A frame, and where the next one begins. */
export interface Frame {
  kind: 'text' | 'ping';
  /** Unmasked, and a copy. */
  payload: Buffer;
  end: number;
}

/**
 * The frame of a client that begins here. `other`: neither a ping nor a whole text, or a breach of the protocol.
 * `need`: it is incomplete, and takes this many bytes at least to continue.
 */
export function readFrame(bytes: Buffer, from: number): Frame | { need: number } | 'other' {
  const first = bytes[from];
  if (first !== TEXT && first !== PING) return 'other';
  const second = bytes[from + 1];
  if (second === undefined) return { need: 2 };
  const short = second - MASKED;
  if (short < 0 || short > (first === PING ? IN_TWO_BYTES - 1 : IN_TWO_BYTES)) return 'other';
  const mask = from + (short === IN_TWO_BYTES ? 4 : 2);
  if (bytes.length < mask) return { need: mask - from };
  const length = short === IN_TWO_BYTES ? bytes.readUInt16BE(from + 2) : short;
  const end = mask + MASK_BYTES + length;
  if (bytes.length < end) return { need: end - from };
  const payload = unmasked(bytes, mask, end);
  if (first === TEXT && !isUtf8(payload)) return 'other';
  return { kind: first === TEXT ? 'text' : 'ping', payload, end };
}

/** Four bytes per step, the length of the mask: much faster than byte by byte. */
function unmasked(bytes: Buffer, mask: number, end: number): Buffer {
  const from = mask + MASK_BYTES;
  const payload = Buffer.allocUnsafe(end - from);
  const key = [bytes[mask] ?? 0, bytes[mask + 1] ?? 0, bytes[mask + 2] ?? 0, bytes[mask + 3] ?? 0] as const;
  let at = 0;
  for (let next = from; next + 3 < end; next += 4) {
    payload[at] = (bytes[next] ?? 0) ^ key[0];
    payload[at + 1] = (bytes[next + 1] ?? 0) ^ key[1];
    payload[at + 2] = (bytes[next + 2] ?? 0) ^ key[2];
    payload[at + 3] = (bytes[next + 3] ?? 0) ^ key[3];
    at += 4;
  }
  for (; at < payload.length; at += 1) payload[at] = (bytes[from + at] ?? 0) ^ (key[at % MASK_BYTES] ?? 0);
  return payload;
}

/**
 * Chunks of an incomplete frame that are kept apart: each has an overhead of some hundred bytes, however small it is.
 */
const MOST_PARTS = 32;

/** The beginning of a frame, kept until the rest comes: 64 KiB at most, as its length is in two bytes. */
export class CutFrame {
  #parts: Buffer[];
  readonly #need: number;
  #have: number;

  constructor(beginning: Buffer, need: number) {
    this.#parts = [beginning];
    this.#have = beginning.length;
    this.#need = need;
  }

  /** All bytes once the frame is complete, together with those after the frame. */
  with(chunk: Buffer): Buffer | undefined {
    this.#parts.push(chunk);
    this.#have += chunk.length;
    if (this.#have >= this.#need) return this.bytes();
    if (this.#parts.length > MOST_PARTS) this.#parts = [this.bytes()];
    return undefined;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** A text of a server as one frame, head and payload in one piece, so that it is written at once. */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const head = length < IN_TWO_BYTES ? 2 : length <= MOST_IN_TWO_BYTES ? 4 : 10;
  const frame = Buffer.allocUnsafe(head + length);
  frame[0] = TEXT;
  if (head === 2) frame[1] = length;
  else if (head === 4) {
    frame[1] = IN_TWO_BYTES;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = IN_EIGHT_BYTES;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  frame.write(text, head);
  return frame;
}

/** The pong to a ping with this payload. */
function pongFrame(payload: Buffer): Buffer {
  return payload.length === 0 ? PONG : Buffer.concat([Buffer.from([PONG_FIRST, payload.length]), payload]);
}

type LeanStream = Duplex & { [CHANNEL]?: LeanChannel };
