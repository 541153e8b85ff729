/** What a server's frames say. Each is called while the chunk that completed the frame is read. */
export interface FrameSink {
  text(text: string): void;
  ping(payload: Buffer): void;
  pong(): void;
  /** 1005 where the frame had no code. */
  close(code: number, reason: string): void;
  /** RFC 6455 was broken, or a message is larger than any of a hub. Nothing is read after it. */
  broken(why: string): void;
}

const CONTINUATION = 0x0;
const TEXT = 0x1;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;
/** A `registered` reply repeats a node of up to 32 KiB, escaped. */
const LARGEST = 256 * 1024;
const nothing = Buffer.alloc(0);

interface Head {
  final: boolean;
  opcode: number;
  /** Where the payload begins and ends. */
  from: number;
  to: number;
}

/** Reads the frames of a server (RFC 6455, section 5.2) as they come, in whatever pieces. */
export class FrameReader {
  readonly #sink: FrameSink;
  #rest: Buffer = nothing;
  #fragments: Buffer[] | undefined;
  #over = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  push(chunk: Buffer): void {
    let data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    while (!this.#over) {
      const head = readHead(data);
      if (head === undefined) break;
      if (typeof head === 'string') {
        this.#break(head);
        break;
      }
      if (data.length < head.to) break;
      this.#frame(head, data.subarray(head.from, head.to));
      data = data.subarray(head.to);
    }
    // A copy: a few waiting bytes must not keep a whole chunk alive for each of thousands of agents.
    this.#rest = this.#over || data.length === 0 ? nothing : Buffer.from(data);
  }

  #frame({ final, opcode }: Head, payload: Buffer): void {
    switch (opcode) {
      case PONG:
        this.#sink.pong();
        break;
      case PING:
        this.#sink.ping(payload);
        break;
      case CLOSE:
        this.#over = true;
        this.#sink.close(
          payload.length >= 2 ? payload.readUInt16BE(0) : 1005,
          payload.subarray(2).toString('utf8'),
        );
        break;
      case TEXT:
      case CONTINUATION:
        this.#data(final, opcode === TEXT, payload);
        break;
      default:
        this.#break(`a frame of type ${opcode}`);
    }
  }

  #data(final: boolean, first: boolean, payload: Buffer): void {
    if (first === (this.#fragments !== undefined)) {
      this.#break('fragments out of order');
    } else if (first && final) {
      this.#sink.text(payload.toString('utf8'));
    } else {
      const fragments = [...(this.#fragments ?? []), Buffer.from(payload)];
      this.#fragments = final ? undefined : fragments;
      if (fragments.reduce((sum, { length }) => sum + length, 0) > LARGEST)
        this.#break('a message too large');
      else if (final) this.#sink.text(Buffer.concat(fragments).toString('utf8'));
    }
  }

  #break(why: string): void {
    this.#over = true;
    this.#sink.broken(why);
  }
}

/** The head of the first frame; nothing where it is not whole yet; text where it is wrong. */
function readHead(data: Buffer): Head | string | undefined {
  const [first, second] = data;
  if (first === undefined || second === undefined) return undefined;
  if ((first & 0x70) !== 0) return 'an extension that nobody agreed to';
  if ((second & 0x80) !== 0) return 'a masked frame';
  const frame = { final: (first & 0x80) !== 0, opcode: first & 0x0f };
  const short = second & 0x7f;
  if (short < 126) return { ...frame, from: 2, to: 2 + short };
  if (short === 126) {
    return data.length < 4 ? undefined : { ...frame, from: 4, to: 4 + data.readUInt16BE(2) };
  }
  if (data.length < 10) return undefined;
  const length = Number(data.readBigUInt64BE(2));
  return length > LARGEST ? 'a message too large' : { ...frame, from: 10, to: 10 + length };
}
