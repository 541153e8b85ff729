import { randomBytes, randomUUID } from 'node:crypto';

const PING = 0x9;
const TEXT = 0x1;

/** One masked client frame (RFC 6455, section 5.2). Prebuilt where it can be, so that it costs the load little. */
export function clientFrame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const frame = Buffer.alloc(2 + extended + 4 + length);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) frame.writeUInt16BE(length, 2);
  if (extended === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  const mask = randomBytes(4);
  mask.copy(frame, 2 + extended);
  const at = 6 + extended;
  for (let index = 0; index < length; index += 1) {
    frame[at + index] = (payload[index] ?? 0) ^ (mask[index % 4] ?? 0);
  }
  return frame;
}

/** A text of a client as one frame. */
export function textFrame(text: string): Buffer {
  return clientFrame(TEXT, Buffer.from(text));
}

/** An empty ping: the heartbeat. */
export const pingFrame = clientFrame(PING, Buffer.alloc(0));

/** Figures as the agent program sends them. */
export const machineStats = {
  cpuPercent: 35.2,
  memoryUsedMib: 98_304,
  memoryTotalMib: 262_144,
  memoryPercent: 37.5,
  diskPercent: 23.4,
  uptimeSeconds: 86_400,
  conditions: [{ type: 'disk', status: 'ok' }],
  metrics: { containers: 3, temperature: 51.5 },
  at: '2026-01-01T00:00:00.000Z',
};

/** These figures as a frame. */
export const statsFrame = textFrame(JSON.stringify({ type: 'stats', stats: machineStats }));

/** What one agent says of its machine, about as large as a real one's. */
export function machineFacts(nodeId: string): object {
  return {
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
}

/** The registration of one agent. */
export function registerFrame(nodeId: string): Buffer {
  const message = { type: 'register', protocol: 1, instanceId: randomUUID(), node: machineFacts(nodeId) };
  return textFrame(JSON.stringify(message));
}
