import { upgradeRequest } from '../../simulate/handshake.ts';

const TEXT = 0x1;
const CLOSE = 0x8;
const PONG = 0xa;

/** The request for a WebSocket at a port of this machine. `known`: a hub that is busy may prefer this agent. */
export function openSocket(port: number, path: string, known = false): Buffer {
  return Buffer.from(upgradeRequest(new URL(path, `http://127.0.0.1:${port}`), undefined, known));
}

/** What a reader tells of a server's frames. `text` and `binary` get a view that is only good during the call. */
export interface FrameListener {
  text(payload: Buffer): void;
  pongs(count: number): void;
  closing(payload: Buffer): void;
  binary?(payload: Buffer): void;
}

/** Cuts what a server sends into frames; servers do not mask, and these do not fragment. */
export class FrameReader {
  readonly #listener: FrameListener;
  #parts: Buffer[] = [];
  #have = 0;
  /** Bytes without which what was cut off is not worth looking at again. */
  #need = 0;

  constructor(listener: FrameListener) {
    this.#listener = listener;
  }

  push(chunk: Buffer): void {
    // By far the commonest chunk is one empty pong.
    if (chunk.length === 2 && chunk[0] === 0x8a && this.#have === 0) {
      this.#listener.pongs(1);
      return;
    }
    if (this.#have > 0) {
      this.#keep(chunk);
      if (this.#have < this.#need) return;
      const whole = Buffer.concat(this.#parts);
      this.#parts = [];
      this.#have = 0;
      this.#read(whole);
    } else this.#read(chunk);
  }

  #read(chunk: Buffer): void {
    let data = chunk;
    let pongs = 0;
    let size = frameSize(data);
    for (; size && data.length >= size.whole; size = frameSize(data)) {
      const opcode = (data[0] ?? 0) & 0x0f;
      const payload = data.subarray(size.head, size.whole);
      if (opcode === PONG) pongs += 1;
      else if (opcode === TEXT) this.#listener.text(payload);
      else if (opcode === CLOSE) this.#listener.closing(payload);
      else this.#listener.binary?.(payload);
      data = data.subarray(size.whole);
    }
    this.#need = size?.whole ?? 0;
    if (data.length > 0) this.#keep(data);
    if (pongs > 0) this.#listener.pongs(pongs);
  }

  /** The chunk's memory is used again for the next one, so what is cut off is copied. */
  #keep(data: Buffer): void {
    this.#parts.push(Buffer.from(data));
    this.#have += data.length;
  }
}

function frameSize(data: Buffer): { head: number; whole: number } | undefined {
  if (data.length < 2) return undefined;
  const short = (data[1] ?? 0) & 0x7f;
  if (short < 126) return { head: 2, whole: 2 + short };
  if (data.length < (short === 126 ? 4 : 10)) return undefined;
  return short === 126
    ? { head: 4, whole: 4 + data.readUInt16BE(2) }
    : { head: 10, whole: 10 + Number(data.readBigUInt64BE(2)) };
}
