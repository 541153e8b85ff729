import { randomBytes, randomUUID } from 'node:crypto';

const PING = 0x9;
const TEXT = 0x1;

/** One masked client frame (RFC 6455, section 5.2). Prebuilt, so that the load costs the load generator little. */
export function clientFrame(opcode: number, payload: Buffer): Buffer {
  const length = payload.length;
  const extended = length < 126 ? 0 : 2;
  const frame = Buffer.alloc(2 + extended + 4 + length);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (extended ? 126 : length);
  if (extended) frame.writeUInt16BE(length, 2);
  const mask = randomBytes(4);
  mask.copy(frame, 2 + extended);
  for (let index = 0; index < length; index += 1) {
    frame[6 + extended + index] = (payload[index] ?? 0) ^ (mask[index % 4] ?? 0);
  }
  return frame;
}

/** An empty ping: the heartbeat. */
export const pingFrame = clientFrame(PING, Buffer.alloc(0));

/** Stats as the agent program sends them. */
export const statsFrame = clientFrame(
  TEXT,
  Buffer.from(
    JSON.stringify({
      type: 'stats',
      stats: {
        cpuPercent: 35.2,
        memoryUsedMib: 98_304,
        memoryTotalMib: 262_144,
        memoryPercent: 37.5,
        diskPercent: 23.4,
        uptimeSeconds: 86_400,
        conditions: [{ type: 'disk', status: 'ok' }],
        metrics: { containers: 3, temperature: 51.5 },
        at: '2026-01-01T00:00:00.000Z',
      },
    }),
  ),
);

/** The registration of one agent, about as large as a real machine's. */
export function registerFrame(nodeId: string): Buffer {
  const node = {
    nodeId,
    hostname: `${nodeId}.fleet.test`,
    kind: 'hypervisor',
    address: '192.0.2.7:9090',
    location: 'room-2',
    labels: { zone: 'us-east-1a', rack: 'rack-42' },
    roles: ['compute'],
    pools: ['pool-0'],
    cpu: {
      model: 'Intel Xeon E5-2680 v4',
      sockets: 2,
      coresPerSocket: 14,
      threadsPerCore: 2,
      features: ['vmx', 'avx2'],
    },
    memory: { totalMib: 262_144, allocatableMib: 245_760 },
    agent: { name: 'bench', version: '0.1.0' },
  };
  return clientFrame(
    TEXT,
    Buffer.from(JSON.stringify({ type: 'register', protocol: 1, instanceId: randomUUID(), node })),
  );
}

/** Counts the frames in what a server sent. Servers do not mask; what is cut off waits for the next chunk. */
export class FrameCounter {
  #rest: Buffer = Buffer.alloc(0);
  texts = 0;
  pongs = 0;

  push(chunk: Buffer): void {
    let data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    for (;;) {
      const size = frameSize(data);
      if (size === undefined || data.length < size) break;
      const opcode = (data[0] ?? 0) & 0x0f;
      if (opcode === TEXT) this.texts += 1;
      else if (opcode === 0xa) this.pongs += 1;
      data = data.subarray(size);
    }
    this.#rest = data;
  }
}

function frameSize(data: Buffer): number | undefined {
  if (data.length < 2) return undefined;
  const short = (data[1] ?? 0) & 0x7f;
  if (short < 126) return 2 + short;
  if (data.length < 10) return undefined;
  return short === 126 ? 4 + data.readUInt16BE(2) : 10 + Number(data.readBigUInt64BE(2));
}
