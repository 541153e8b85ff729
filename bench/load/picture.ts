import { connect } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import { textFrame } from '../../simulate/frames.ts';
import type { DashboardDialectName } from './dashboards.ts';
import { FrameReader, openSocket } from './frames.ts';
import { connectPacket, PACKET, PacketReader, pubackPacket, readPublish, subscribePacket } from './mqtt.ts';

const WITHIN_MS = 60_000;

/** What a dashboard that comes hears until it has the whole fleet. */
interface Viewer {
  send(bytes: Buffer): void;
  /** More nodes came. */
  got(nodes: number): void;
  /** The server says that this was all. */
  done(): void;
  failed(why: string): void;
}

const nodesSchema = z.array(z.unknown());
const pageSchema = z.tuple([z.literal('snapshot'), z.object({ remaining: z.number() })]);
const plainSchema = z.tuple([z.literal('nodes'), nodesSchema]);
const plainWsSchema = z.object({ nodes: nodesSchema });

function websocket(
  viewer: Viewer,
  text: (payload: Buffer) => void,
  binary: (payload: Buffer) => void = () => {},
): (chunk: Buffer) => void {
  const frames = new FrameReader({ text, binary, pongs() {}, closing: () => viewer.failed('closed') });
  let open = false;
  return (chunk) => {
    if (open) {
      frames.push(chunk);
      return;
    }
    const end = chunk.indexOf('\r\n\r\n') + 4;
    if (!chunk.toString('latin1', 0, 12).startsWith('HTTP/1.1 101')) {
      viewer.failed(chunk.toString('latin1', 0, 80));
      return;
    }
    open = true;
    if (chunk.length > end) frames.push(chunk.subarray(end));
  };
}

/** Socket.IO: `text` gets the packets behind the handshake, `binary` what is attached to them. */
function socketIo(
  viewer: Viewer,
  request: string,
  text: (packet: string) => void,
  binary?: (payload: Buffer) => void,
): (chunk: Buffer) => void {
  return websocket(
    viewer,
    (payload) => {
      const first = payload.toString('latin1', 0, 2);
      if (first.startsWith('0')) viewer.send(textFrame('40'));
      else if (first === '2') viewer.send(textFrame('3'));
      else if (first === '40') viewer.send(textFrame(request));
      else if (first === '44') viewer.failed(payload.toString());
      else text(payload.toString());
    },
    binary,
  );
}

function rollcall(viewer: Viewer): (chunk: Buffer) => void {
  let remaining = -1;
  return socketIo(
    viewer,
    '420["subscribe",{"fields":"summary","gzip":true}]',
    (packet) => {
      if (packet.startsWith('430[{"ok":false')) viewer.failed(packet);
      if (packet.startsWith('451-["snapshot"'))
        remaining = pageSchema.parse(JSON.parse(packet.slice('451-'.length)))[1].remaining;
    },
    (gzip) => {
      viewer.got(nodesSchema.parse(JSON.parse(gunzipSync(gzip).toString())).length);
      if (remaining === 0) viewer.done();
    },
  );
}

function plainSocketIo(viewer: Viewer): (chunk: Buffer) => void {
  return socketIo(viewer, '42["watch"]', (packet) => {
    if (!packet.startsWith('42["nodes"')) return;
    viewer.got(plainSchema.parse(JSON.parse(packet.slice(2)))[1].length);
    viewer.done();
  });
}

function plainWs(viewer: Viewer): (chunk: Buffer) => void {
  return websocket(viewer, (payload) => {
    const text = payload.toString();
    if (!text.startsWith('{"type":"nodes"')) return;
    viewer.got(plainWsSchema.parse(JSON.parse(text)).nodes.length);
    viewer.done();
  });
}

/**
 * A broker does not say when the retained messages end: it is done when as many came as there are. aedes sends them
 * with the QoS of their publisher, so that they must be acknowledged.
 */
function mqtt(viewer: Viewer): (chunk: Buffer) => void {
  const packets = new PacketReader((type, body, flags) => {
    if (type === PACKET.connack) viewer.send(subscribePacket(1, 'fleet/+/node'));
    else if (type === PACKET.publish) {
      const { message, id } = readPublish(body, flags);
      if (id) viewer.send(pubackPacket(id));
      JSON.parse(message.toString());
      viewer.got(1);
    }
  });
  return (chunk) => packets.push(chunk);
}

const openings = {
  rollcall: { reader: rollcall, path: '/socket.io/?EIO=4&transport=websocket' },
  'plain-socket-io': { reader: plainSocketIo, path: '/socket.io/?EIO=4&transport=websocket' },
  'plain-ws': { reader: plainWs, path: '/dashboard' },
} as const;

/** From the connection to the last node, unpacked and parsed; by bare frames, so that every server is read alike. */
export function takePicture(
  { dialect, port, nodes }: { dialect: DashboardDialectName; port: number; nodes: number },
  octet: number,
): Promise<{ ms: number; bytes: number; nodes: number }> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    let bytes = 0;
    let got = 0;
    const socket = connect({ host: '127.0.0.1', port, localAddress: `127.0.${octet}.251`, noDelay: true });
    const late = setTimeout(
      () => viewer.failed(`${got} of ${nodes} nodes came within ${WITHIN_MS / 1_000} s`),
      WITHIN_MS,
    );
    const end = (): void => {
      clearTimeout(late);
      socket.destroy();
    };
    const viewer: Viewer = {
      send: (sent) => void socket.write(sent),
      got: (more) => {
        got += more;
        if (dialect === 'mqtt' && got >= nodes) viewer.done();
      },
      done: () => {
        end();
        resolve({ ms: performance.now() - startedAt, bytes, nodes: got });
      },
      failed: (why) => {
        end();
        reject(new Error(why));
      },
    };
    const read = dialect === 'mqtt' ? mqtt(viewer) : openings[dialect].reader(viewer);
    socket.once('connect', () => {
      socket.write(
        dialect === 'mqtt'
          ? connectPacket(`viewer-${octet}-${startedAt}`, 0)
          : openSocket(port, openings[dialect].path),
      );
    });
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      read(chunk);
    });
    socket.on('error', (error) => viewer.failed(error.message));
    socket.once('close', () => viewer.failed('the connection ended'));
  });
}
