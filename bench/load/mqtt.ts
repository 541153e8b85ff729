/** The few packets of MQTT 3.1.1 that the bench needs, prebuilt (OASIS MQTT 3.1.1, section 3). */

export const PINGREQ = Buffer.from([0xc0, 0x00]);
export const PACKET = { connack: 2, publish: 3, puback: 4, suback: 9, pingresp: 13 } as const;

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
};

function packet(first: number, body: Buffer): Buffer {
  const length: number[] = [];
  let left = body.length;
  do {
    length.push((left % 128) | (left >= 128 ? 0x80 : 0));
    left = Math.floor(left / 128);
  } while (left > 0);
  return Buffer.concat([Buffer.from([first, ...length]), body]);
}

const CLEAN = 0x02;
const WILL = 0x04;

/** CONNECT with a clean session, and where given a last will of QoS 0. `keepAlive` in seconds; 0 is none. */
export function connectPacket(
  clientId: string,
  keepAlive: number,
  will?: { topic: string; message: string },
): Buffer {
  const seconds = Buffer.alloc(2);
  seconds.writeUInt16BE(keepAlive);
  return packet(
    0x10,
    Buffer.concat([
      text('MQTT'),
      Buffer.from([4, CLEAN | (will ? WILL : 0)]),
      seconds,
      text(clientId),
      ...(will ? [text(will.topic), text(will.message)] : []),
    ]),
  );
}

/** PUBLISH; with an `id` of QoS 1, else of QoS 0. */
export function publishPacket(
  topic: string,
  message: string,
  { retain = false, id }: { retain?: boolean; id?: number } = {},
): Buffer {
  const identifier = Buffer.alloc(id === undefined ? 0 : 2);
  if (id !== undefined) identifier.writeUInt16BE(id);
  const first = 0x30 | (retain ? 1 : 0) | (id === undefined ? 0 : 2);
  return packet(first, Buffer.concat([text(topic), identifier, Buffer.from(message)]));
}

/** SUBSCRIBE of QoS 0. */
export function subscribePacket(id: number, topic: string): Buffer {
  const identifier = Buffer.alloc(2);
  identifier.writeUInt16BE(id);
  return packet(0x82, Buffer.concat([identifier, text(topic), Buffer.from([0])]));
}

/** PUBACK of a message that came with QoS 1. */
export function pubackPacket(id: Buffer): Buffer {
  return packet(0x40, id);
}

/** Cuts what a broker sends into packets; `body` is only good during the call. `flags` are those of the first byte. */
export class PacketReader {
  #rest: Buffer | undefined;

  constructor(private readonly received: (type: number, body: Buffer, flags: number) => void) {}

  push(chunk: Buffer): void {
    let data = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    for (;;) {
      const size = packetSize(data);
      if (!size || data.length < size.whole) break;
      const first = data[0] ?? 0;
      this.received(first >> 4, data.subarray(size.head, size.whole), first & 0x0f);
      data = data.subarray(size.whole);
    }
    this.#rest = data.length > 0 ? Buffer.from(data) : undefined;
  }
}

function packetSize(data: Buffer): { head: number; whole: number } | undefined {
  let length = 0;
  for (let at = 1; at < Math.min(5, data.length); at += 1) {
    const byte = data[at] ?? 0;
    length += (byte & 0x7f) * 128 ** (at - 1);
    if ((byte & 0x80) === 0) return { head: at + 1, whole: at + 1 + length };
  }
  return undefined;
}

/** Topic and message of a PUBLISH, and the id to acknowledge where it came with QoS 1. */
export function readPublish(body: Buffer, flags = 0): { topic: string; message: Buffer; id?: Buffer } {
  const end = 2 + body.readUInt16BE(0);
  const topic = body.toString('utf8', 2, end);
  if ((flags & 0x06) === 0) return { topic, message: body.subarray(end) };
  return { topic, message: body.subarray(end + 2), id: body.subarray(end, end + 2) };
}
