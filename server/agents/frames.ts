import { isUtf8 } from 'node:buffer';

/*
 * The frames of a WebSocket (RFC 6455, section 5.2) that agents send and are sent nearly always. The first byte of
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
export const PONG = Buffer.from([PONG_FIRST, 0]);

/** A chunk is one empty ping of a client, whole and alone. */
export function isEmptyPing(chunk: Buffer): boolean {
  return chunk.length === 2 + MASK_BYTES && chunk[0] === PING && chunk[1] === MASKED;
}

/** A frame that was read, and where the next one begins. */
export interface Frame {
  kind: 'text' | 'ping';
  /** Unmasked, and a copy. */
  payload: Buffer;
  end: number;
}

/**
 * The frame of a client that begins here. `other`: it is no ping and no whole text, or breaks the protocol. `need`: it
 * has come only in part, and it takes so many bytes at least to say more.
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

/** Four bytes in a step, as many as the mask has: byte by byte it takes twice as long. */
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

/** Chunks of a cut frame that are kept apart: each takes some hundred bytes besides, however small it is. */
const MOST_PARTS = 32;

/** The beginning of a frame, kept until the rest of it comes: 64 KiB at most, as its length is in two bytes. */
export class CutFrame {
  #parts: Buffer[];
  readonly #need: number;
  #have: number;

  constructor(beginning: Buffer, need: number) {
    this.#parts = [beginning];
    this.#have = beginning.length;
    this.#need = need;
  }

  /** All that came, once it is enough; with it, what came after the frame. */
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
export function pongFrame(payload: Buffer): Buffer {
  return payload.length === 0 ? PONG : Buffer.concat([Buffer.from([PONG_FIRST, payload.length]), payload]);
}
