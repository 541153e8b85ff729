import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { z } from 'zod';
import { textFrame } from '../../simulate/frames.ts';
import { sharedNow } from '../harness/processes.ts';
import { Histogram } from '../harness/statistics.ts';
import { FrameReader, openSocket } from './frames.ts';
import { eachMarker } from './marker.ts';
import { connectPacket, PACKET, PacketReader, readPublish, subscribePacket } from './mqtt.ts';

export type DashboardDialectName = 'rollcall' | 'plain-socket-io' | 'plain-ws' | 'mqtt';
export type Watch = 'names' | 'latency';

interface DashboardEvents {
  send(bytes: Buffer): void;
  /** It has the first picture, and hears changes from now on. */
  live(): void;
  failed(why: string): void;
  /** Changes of one or more nodes, as they came. */
  changes(payload: Buffer): void;
  change(id: string, status: string): void;
}

interface DashboardDialect {
  open(name: string, port: number): Buffer;
  reader(events: DashboardEvents): (chunk: Buffer) => void;
  /** Which nodes the payload says something of. */
  names(payload: Buffer, change: (id: string, status: string) => void): void;
}

function websocket(
  events: DashboardEvents,
  text: (payload: Buffer) => void,
  upgraded: () => void = () => {},
): (chunk: Buffer) => void {
  const frames = new FrameReader({
    text,
    pongs() {},
    closing: (payload) => events.failed(`closed: ${payload.subarray(2).toString()}`),
  });
  let open = false;
  return (chunk) => {
    if (open) {
      frames.push(chunk);
      return;
    }
    const end = chunk.indexOf('\r\n\r\n') + 4;
    if (!chunk.toString('latin1', 0, 12).startsWith('HTTP/1.1 101') || end < 4) {
      events.failed(chunk.toString('latin1', 0, 80));
      return;
    }
    open = true;
    upgraded();
    if (chunk.length > end) frames.push(chunk.subarray(end));
  };
}

const engineUpgrade = (_name: string, port: number): Buffer =>
  openSocket(port, '/socket.io/?EIO=4&transport=websocket');

const changesPacket = z.tuple([
  z.literal('changes'),
  z.object({ events: z.array(z.object({ nodeId: z.string(), to: z.string().nullable() })) }),
]);
const changePacket = z.tuple([z.literal('change'), z.object({ id: z.string(), status: z.string() })]);
const changeMessage = z.object({ type: z.literal('change'), id: z.string(), status: z.string() });

const startsWith = (payload: Buffer, text: string): boolean =>
  payload.length >= text.length && payload.toString('latin1', 0, text.length) === text;

/** Socket.IO up to the moment at which requests can be sent. */
function socketIo(
  events: DashboardEvents,
  request: string,
  packet: (payload: Buffer) => void,
): (chunk: Buffer) => void {
  return websocket(events, (payload) => {
    if (payload[0] === 0x30) events.send(textFrame('40'));
    else if (payload[0] === 0x32) events.send(textFrame('3'));
    else if (startsWith(payload, '40')) events.send(textFrame(request));
    else if (startsWith(payload, '44')) events.failed(payload.toString());
    else packet(payload);
  });
}

const dialects: Record<DashboardDialectName, DashboardDialect> = {
  rollcall: {
    open: engineUpgrade,
    reader: (events) =>
      socketIo(events, '420["subscribe",{"fields":"summary"}]', (payload) => {
        if (startsWith(payload, '42["changes"')) events.changes(payload);
        else if (startsWith(payload, '42["snapshot"') && payload.includes('"remaining":0')) events.live();
        else if (startsWith(payload, '430[{"ok":false')) events.failed(payload.toString());
      }),
    names(payload, change) {
      const [, { events }] = changesPacket.parse(JSON.parse(payload.toString('utf8', 2)));
      for (const { nodeId, to } of events) change(nodeId, to ?? 'removed');
    },
  },
  'plain-socket-io': {
    open: engineUpgrade,
    reader: (events) =>
      socketIo(events, '42["watch"]', (payload) => {
        if (startsWith(payload, '42["change"')) events.changes(payload);
        else if (startsWith(payload, '42["nodes"')) events.live();
      }),
    names(payload, change) {
      const [, { id, status }] = changePacket.parse(JSON.parse(payload.toString('utf8', 2)));
      change(id, status);
    },
  },
  'plain-ws': {
    open: (_name, port) => openSocket(port, '/dashboard'),
    reader: (events) =>
      websocket(events, (payload) => {
        if (startsWith(payload, '{"type":"change"')) events.changes(payload);
        else if (startsWith(payload, '{"type":"nodes"')) events.live();
      }),
    names(payload, change) {
      const { id, status } = changeMessage.parse(JSON.parse(payload.toString()));
      change(id, status);
    },
  },
  mqtt: {
    open: (name) => connectPacket(name, 0),
    reader(events) {
      const packets = new PacketReader((type, body) => {
        if (type === PACKET.connack) events.send(subscribePacket(1, 'fleet/+/status'));
        else if (type === PACKET.suback) events.live();
        else if (type === PACKET.publish) events.changes(body);
      });
      return (chunk) => packets.push(chunk);
    },
    names(payload, change) {
      const { topic, message } = readPublish(payload);
      change(topic.split('/')[1] ?? '', message.toString('utf8', 0, 8));
    },
  },
};

const CONNECT_WITHIN_MS = 30_000;
const MOST_SEEN = 200_000;

/**
 * The dashboards of one load process: raw sockets that read frames and look only at what is measured. `rollcall/client`
 * would keep a picture for each of thousands, and its processor time would be measured instead of the server's.
 */
export class Dashboards {
  /** What they were told, as `[node, status, when]`; the newest are dropped beyond a bound. */
  seen: Array<[id: string, status: string, at: number]> = [];
  deliveries = 0;
  deliveredBytes = 0;
  readonly latency = new Histogram();
  readonly #stalled: Socket[] = [];
  readonly #sockets: Socket[] = [];

  constructor(private readonly octet: number) {}

  async connect(order: {
    dialect: DashboardDialectName;
    port: number;
    count: number;
    stalled: number;
    watch: Watch;
  }): Promise<number> {
    const { dialect, port, watch } = order;
    for (let index = 0; index < order.count + order.stalled; index += 1) {
      await this.#one(
        dialects[dialect],
        `dashboard-${this.octet}-${index}`,
        port,
        watch,
        index >= order.count,
      );
    }
    return this.#sockets.length;
  }

  #one(dialect: DashboardDialect, name: string, port: number, watch: Watch, stall: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error('a dashboard did not get its first picture in time')),
        CONNECT_WITHIN_MS,
      );
      const socket = connect({
        host: '127.0.0.1',
        port,
        localAddress: `127.0.${this.octet}.250`,
        noDelay: true,
      });
      this.#sockets.push(socket);
      const events: DashboardEvents = {
        send: (bytes) => void socket.write(bytes),
        live: () => {
          clearTimeout(late);
          if (stall) {
            socket.pause();
            this.#stalled.push(socket);
          }
          resolve();
        },
        failed: (why) => {
          socket.destroy();
          reject(new Error(`a dashboard was refused: ${why}`));
        },
        change: (id, status) => {
          if (this.seen.length < MOST_SEEN) this.seen.push([id, status, sharedNow()]);
        },
        changes: (payload) => {
          this.deliveredBytes += payload.length;
          if (watch === 'names') dialect.names(payload, events.change);
          else {
            const now = sharedNow();
            eachMarker(payload, (at) => {
              this.deliveries += 1;
              this.latency.add(now - at);
            });
          }
        },
      };
      const read = dialect.reader(events);
      socket.once('connect', () => socket.write(dialect.open(name, port)));
      socket.on('data', (chunk: Buffer) => read(chunk));
      socket.on('error', () => {});
      socket.once('close', () => reject(new Error('a dashboard was cut off before its first picture')));
    });
  }

  /** How many of the stalled ones the server still keeps, by the kernel's table: a paused socket hears nothing itself. */
  stalledOpen(): number {
    const ESTABLISHED = '01';
    const open = new Set<string>();
    for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1)) {
      const [, local = '', , state] = line.trim().split(/\s+/);
      if (state === ESTABLISHED) open.add(local);
    }
    return this.#stalled.filter((socket) => open.has(localOf(socket))).length;
  }
}

/** A socket's own end as /proc/net/tcp writes it: the address from its last byte to its first, and the port. */
function localOf({ localAddress = '', localPort = 0 }: Socket): string {
  const bytes = localAddress.split('.').reverse().map(Number);
  const hex = (value: number, digits: number) => value.toString(16).toUpperCase().padStart(digits, '0');
  return `${bytes.map((byte) => hex(byte, 2)).join('')}:${hex(localPort, 4)}`;
}
