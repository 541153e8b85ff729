import { readRetryAfterHeader } from '../../agent/session/backoff.ts';
import { readRetryAfterMs } from '../../shared/index.ts';
import {
  machineFacts,
  machineStats,
  pingFrame,
  registerFrame,
  statsFrame,
  textFrame,
} from '../../simulate/frames.ts';
import { FrameReader, openSocket } from './frames.ts';
import { connectPacket, PACKET, PacketReader, PINGREQ, publishPacket } from './mqtt.ts';

/** `ping` is a sign of life alone; `stats` carries figures of about 300 bytes, and is answered too. */
export type Beat = 'ping' | 'stats';

/** What the connection of an agent hears from its dialect. */
interface AgentEvents {
  send(bytes: Buffer): void;
  /** The server knows it now. */
  joined(): void;
  answered(count: number): void;
  /** It was sent away: before it was let in, or with a time to wait. */
  refused(why: string, retryAfterMs?: number): void;
}

/** How agents speak to one kind of server. Everything that can be built beforehand is. */
export interface AgentDialect {
  /** The first bytes of a connection. */
  open(id: string, port: number, options: DialectOptions): Buffer;
  reader(id: string, events: AgentEvents): (chunk: Buffer) => void;
  beat(kind: Beat, id: string): Buffer;
  /** Figures with a check that fails (`marker` is its message) or is well again: a change of the node's status. */
  change(id: string, marker: string | undefined): Buffer;
}

interface DialectOptions {
  /** MQTT's keepalive; a broker gives up after one and a half of it. */
  keepAliveSeconds: number;
  /** It was registered before: a hub that is busy may prefer it. */
  known: boolean;
}

const statsText = JSON.stringify(machineStats);
const changed = (marker: string | undefined): object => ({
  cpuPercent: 35.2,
  conditions: [
    marker === undefined ? { type: 'disk', status: 'ok' } : { type: 'disk', status: 'fail', message: marker },
  ],
});

/** How long a refusal asks to wait: `retryAfterMs` of its JSON, else `Retry-After` in seconds. */
export function readRetryAfter(text: string): number | undefined {
  return readRetryAfterMs(text) ?? readRetryAfterHeader(/^retry-after:\s*(\d+)/im.exec(text)?.[1], undefined);
}

/** What comes after the head of the upgrade's answer goes to `rest`. */
function afterUpgrade(events: AgentEvents, upgraded: () => void, rest: (chunk: Buffer) => void) {
  let open = false;
  let head = '';
  return (chunk: Buffer): void => {
    if (open) {
      rest(chunk);
      return;
    }
    const before = head.length;
    head += chunk.toString('latin1');
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    if (!head.startsWith('HTTP/1.1 101')) {
      events.refused(head.split('\r\n', 1)[0] ?? '', readRetryAfter(head));
      return;
    }
    open = true;
    const from = end + 4 - before;
    head = '';
    upgraded();
    if (chunk.length > from) rest(chunk.subarray(from));
  };
}

function onClose(events: AgentEvents): (payload: Buffer) => void {
  return (payload) => {
    const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
    const reason = payload.subarray(2).toString();
    events.refused(`closed with ${code} ${reason}`, readRetryAfter(reason));
  };
}

const statsAndPing = Buffer.concat([statsFrame, pingFrame]);
const wsBeat = (kind: Beat): Buffer => (kind === 'ping' ? pingFrame : statsAndPing);
const wsChange = (_id: string, marker: string | undefined): Buffer =>
  textFrame(JSON.stringify({ type: 'stats', stats: changed(marker) }));

/** A WebSocket that nobody registers on. */
const bare: AgentDialect = {
  open: (_id, port) => openSocket(port, '/agent'),
  reader(_id, events) {
    const frames = new FrameReader({
      text() {},
      pongs: (count) => events.answered(count),
      closing: onClose(events),
    });
    return afterUpgrade(
      events,
      () => events.joined(),
      (chunk) => frames.push(chunk),
    );
  },
  beat: wsBeat,
  change: wsChange,
};

/** Rollcall's own protocol, which the plain ws hub speaks too as far as it goes. */
const rollcall: AgentDialect = {
  open: (_id, port, { known }) => openSocket(port, '/agent', known),
  reader(id, events) {
    let registered = false;
    const frames = new FrameReader({
      text(payload) {
        if (registered) return;
        const text = payload.toString();
        registered = text.startsWith('{"type":"registered"');
        if (registered) events.joined();
        else events.refused(text.slice(0, 200));
      },
      pongs: (count) => events.answered(count),
      closing: onClose(events),
    });
    return afterUpgrade(
      events,
      () => events.send(registerFrame(id)),
      (chunk) => frames.push(chunk),
    );
  },
  beat: wsBeat,
  change: wsChange,
};

const sioPing = textFrame('421["heartbeat"]');
const sioStats = textFrame(`421["heartbeat",${statsText}]`);
const enginePong = textFrame('3');

/** Socket.IO 4 over a WebSocket: packets of Engine.IO with an acknowledgement of each heartbeat. */
const socketIo: AgentDialect = {
  open: (_id, port) => openSocket(port, '/socket.io/?EIO=4&transport=websocket'),
  reader(id, events) {
    const frames = new FrameReader({
      text(payload) {
        const first = payload[0];
        const second = payload[1];
        // '43': an acknowledgement, by far the commonest.
        if (first === 0x34 && second === 0x33) {
          if (payload[2] === 0x30) events.joined();
          else events.answered(1);
        } else if (first === 0x32) events.send(enginePong);
        else if (first === 0x30) events.send(textFrame('40'));
        else if (first === 0x34 && second === 0x30)
          events.send(textFrame(`420${JSON.stringify(['register', machineFacts(id)])}`));
        else if (first === 0x34 && second === 0x34) events.refused(payload.toString());
      },
      pongs() {},
      closing: onClose(events),
    });
    return afterUpgrade(
      events,
      () => {},
      (chunk) => frames.push(chunk),
    );
  },
  beat: (kind) => (kind === 'ping' ? sioPing : sioStats),
  change: (_id, marker) => textFrame(`421${JSON.stringify(['heartbeat', changed(marker)])}`),
};

/** MQTT 3.1.1: a last will says `offline`, the keepalive is PINGREQ, and the node's facts are a retained message. */
const mqtt: AgentDialect = {
  open: (id, _port, { keepAliveSeconds }) =>
    connectPacket(id, keepAliveSeconds, { topic: `fleet/${id}/status`, message: 'offline' }),
  reader(id, events) {
    const packets = new PacketReader((type, body) => {
      if (type === PACKET.pingresp) events.answered(1);
      else if (type === PACKET.puback) events.joined();
      else if (type !== PACKET.connack) return;
      else if (body[1] !== 0) events.refused(`CONNACK ${body[1]}`);
      else
        events.send(
          publishPacket(`fleet/${id}/node`, JSON.stringify(machineFacts(id)), { retain: true, id: 1 }),
        );
    });
    return (chunk) => packets.push(chunk);
  },
  beat: (kind, id) =>
    kind === 'ping' ? PINGREQ : Buffer.concat([publishPacket(`fleet/${id}/stats`, statsText), PINGREQ]),
  change: (id, marker) =>
    publishPacket(`fleet/${id}/status`, marker === undefined ? 'online' : `degraded ${marker}`),
};

function post(path: string, body: string): Buffer {
  return Buffer.from(
    [
      `POST ${path} HTTP/1.1`,
      'Host: 127.0.0.1',
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n'),
  );
}

/** REST over a connection that is kept. Answers are small, so that each comes in one piece. */
const http: AgentDialect = {
  open: (id) => post('/api/v1/nodes', JSON.stringify({ node: machineFacts(id) })),
  reader(_id, events) {
    let registered = false;
    let rest = 0;
    return (chunk) => {
      if (rest > 0) {
        rest -= chunk.length;
        return;
      }
      const text = chunk.toString('latin1', 0, Math.min(chunk.length, 4_096));
      if (!/^HTTP\/1\.1 20[01]/.test(text)) {
        events.refused(text.split('\r\n', 1)[0] ?? '', readRetryAfter(text));
        return;
      }
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? 0);
      rest = text.indexOf('\r\n\r\n') + 4 + length - chunk.length;
      if (registered) events.answered(1);
      else {
        registered = true;
        events.joined();
      }
    };
  },
  beat: (kind, id) =>
    post(`/api/v1/nodes/${id}/heartbeat`, kind === 'ping' ? '{}' : JSON.stringify({ stats: machineStats })),
  change: (id, marker) => post(`/api/v1/nodes/${id}/heartbeat`, JSON.stringify({ stats: changed(marker) })),
};

export const agentDialects = { bare, rollcall, 'socket-io': socketIo, mqtt, http } as const;
export type AgentDialectName = keyof typeof agentDialects;
