// A plain hub: Socket.IO and ioredis, as a competent team would write it in an afternoon.
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { z } from 'zod';
import { listen, serve } from '../harness/serve.ts';
import { PlainRegistry } from './plain-registry.ts';

const server = createServer();
const io = new Server(server, {
  transports: ['websocket'],
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
  maxHttpBufferSize: 65_536,
});
// Socket.IO's documents: the first request is not needed any more, and takes memory.
io.engine.on('connection', (socket: { request: unknown }) => {
  socket.request = null;
});
const agents = new Map<string, string>();
const registry = new PlainRegistry(
  process.env.REDIS_URL ?? '',
  Number(process.env.TIMEOUT_MS ?? 30_000),
  (change) => {
    io.to('dashboards').emit('change', JSON.parse(change));
  },
);

const nodeSchema = z.looseObject({ nodeId: z.string() });
const heartbeatSchema = z.looseObject({
  conditions: z
    .array(z.looseObject({ status: z.string(), message: z.string().exactOptional() }))
    .exactOptional(),
});
type Ack = (answer?: object) => void;

io.on('connection', (socket) => {
  let id: string | undefined;
  const failed = (): void => void socket.disconnect(true);
  socket.on('register', (facts: unknown, ack: Ack) => {
    const node = nodeSchema.parse(facts);
    id = node.nodeId;
    agents.set(id, socket.id);
    registry.register(id, node).then(() => ack({ nodeId: id }), failed);
  });
  socket.on('heartbeat', (...args: unknown[]) => {
    const ack = args.at(-1);
    if (id === undefined) return;
    const stats = args.length > 1 ? heartbeatSchema.parse(args[0]) : undefined;
    registry.beat(id, stats).catch(failed);
    if (typeof ack === 'function') ack();
  });
  socket.on('watch', () => {
    registry.nodes().then((nodes) => {
      socket.emit(
        'nodes',
        nodes.map((node): unknown => JSON.parse(node)),
      );
      return socket.join('dashboards');
    }, failed);
  });
  socket.on('disconnect', () => {
    if (id === undefined || agents.get(id) !== socket.id) return;
    agents.delete(id);
    registry.lost(id).catch(() => {});
  });
});
await registry.open();
serve(await listen(server));
