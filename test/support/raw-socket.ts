import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameOptions {
  /** False: more fragments of the message follow. */
  fin?: boolean;
  /** A client must mask; false breaks the protocol. */
  masked?: boolean;
  /** The three reserved bits, which only extensions may set. */
  reserved?: number;
  /** Claims this length instead of the payload's own. */
  claimedLength?: number;
}

/** The bytes of one WebSocket frame (RFC 6455, section 5.2), right or wrong as told. */
export function frame(opcode: number, payload: Buffer | string = '', options: FrameOptions = {}): Buffer {
  const { fin = true, masked = true, reserved = 0 } = options;
  const body = Buffer.from(payload);
  const length = options.claimedLength ?? body.length;
  const head = [(fin ? 0x80 : 0) | (reserved << 4) | opcode];
  const maskBit = masked ? 0x80 : 0;
  if (length < 126) head.push(maskBit | length);
  else if (length < 65_536) head.push(maskBit | 126, length >> 8, length & 0xff);
  else {
    const long = Buffer.alloc(8);
    long.writeBigUInt64BE(BigInt(length));
    head.push(maskBit | 127, ...long);
  }
  if (!masked) return Buffer.concat([Buffer.from(head), body]);
  const mask = randomBytes(4);
  const hidden = body.map((byte, index) => byte ^ (mask[index % 4] ?? 0));
  return Buffer.concat([Buffer.from(head), mask, hidden]);
}

/** The bytes of a Close frame. */
export function closeFrame(code?: number, reason = ''): Buffer {
  if (code === undefined) return frame(OPCODE.close);
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return frame(OPCODE.close, Buffer.concat([head, Buffer.from(reason)]));
}

export interface ReceivedFrame {
  opcode: number;
  payload: Buffer;
}

/** A bare network socket to a hub: what it writes need not be HTTP or WebSocket at all. */
export class RawSocket {
  readonly socket: Socket;
  /** Resolves once the network socket is gone, whoever ended it. */
  readonly gone: Promise<void>;
  #received: Buffer = Buffer.alloc(0);
  #wake = (): void => {};
  #isGone = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('data', (data: Buffer) => {
      this.#received = Buffer.concat([this.#received, data]);
      this.#wake();
    });
    this.gone = new Promise((resolve) => {
      socket.once('close', () => {
        this.#isGone = true;
        this.#wake();
        resolve();
      });
    });
  }

  static async connect(port: number): Promise<RawSocket> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const raw = new RawSocket(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return raw;
  }

  /** Everything that came and was not read yet. */
  get text(): string {
    return this.#received.toString('latin1');
  }

  write(data: Buffer | string): void {
    this.socket.write(data);
  }

  /** Writes a request for an upgrade and returns the head of the answer. */
  async upgrade(path: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
    const all = {
      Host: `127.0.0.1:${this.socket.remotePort}`,
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
      ...headers,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    this.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
    return this.head();
  }

  /** The head of an HTTP answer, without its body. */
  head(): Promise<string> {
    return this.#take('an HTTP answer', () => {
      const at = this.#received.indexOf('\r\n\r\n');
      if (at < 0) return undefined;
      const head = this.#received.subarray(0, at + 4).toString('latin1');
      this.#received = this.#received.subarray(at + 4);
      return head;
    });
  }

  /** The next frame of the hub. */
  nextFrame(): Promise<ReceivedFrame> {
    return this.#take('a frame', () => this.#takeFrame());
  }

  /** Waits until enough has come. One waits at a time. */
  async #take<T>(what: string, take: () => T | undefined): Promise<T> {
    for (;;) {
      const taken = take();
      if (taken !== undefined) return taken;
      if (this.#isGone) throw new Error(`the hub ended the connection instead of sending ${what}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The code of the hub's Close frame; frames before it are passed over. */
  async closeCode(): Promise<number> {
    for (;;) {
      const { opcode, payload } = await this.nextFrame();
      if (opcode === OPCODE.close) return payload.readUInt16BE();
    }
  }

  /** A server's frames are not masked. */
  #takeFrame(): ReceivedFrame | undefined {
    const bytes = this.#received;
    if (bytes.length < 2) return undefined;
    const short = (bytes[1] ?? 0) & 0x7f;
    const headLength = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (bytes.length < headLength) return undefined;
    const length =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if (bytes.length < headLength + length) return undefined;
    this.#received = bytes.subarray(headLength + length);
    return { opcode: (bytes[0] ?? 0) & 0x0f, payload: bytes.subarray(headLength, headLength + length) };
  }

  /** Ends with a TCP RST, as a machine that lost its power and came back does. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  destroy(): void {
    this.socket.destroy();
  }
}
