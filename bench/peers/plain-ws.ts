// A plain hub: ws and ioredis, as a competent team would write it in an afternoon.
import { createServer } from 'node:http';
import { type WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';
import { listen, serve } from '../harness/serve.ts';
import { PlainRegistry } from './plain-registry.ts';

const dashboards = new Set<WebSocket>();
const agents = new Map<string, WebSocket>();
const registry = new PlainRegistry(
  process.env.REDIS_URL ?? '',
  Number(process.env.TIMEOUT_MS ?? 30_000),
  (change) => {
    const message = `{"type":"change",${change.slice(1)}`;
    for (const dashboard of dashboards) dashboard.send(message);
  },
);

const messageSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('register'), node: z.looseObject({ nodeId: z.string() }) }),
  z.object({
    type: z.literal('stats'),
    stats: z.looseObject({
      conditions: z
        .array(z.looseObject({ status: z.string(), message: z.string().exactOptional() }))
        .exactOptional(),
    }),
  }),
]);

function serveAgent(socket: WebSocket): void {
  let id: string | undefined;
  const failed = (): void => socket.terminate();
  socket.on('message', (data) => {
    const message = messageSchema.parse(JSON.parse(data.toString()));
    if (message.type === 'register') {
      const { nodeId } = message.node;
      id = nodeId;
      agents.set(nodeId, socket);
      registry
        .register(nodeId, message.node)
        .then(() => socket.send(JSON.stringify({ type: 'registered', nodeId })), failed);
    } else if (id !== undefined) registry.beat(id, message.stats).catch(failed);
  });
  socket.on('ping', () => {
    if (id !== undefined) registry.beat(id).catch(failed);
  });
  socket.on('close', () => {
    if (id === undefined || agents.get(id) !== socket) return;
    agents.delete(id);
    registry.lost(id).catch(() => {});
  });
}

async function serveDashboard(socket: WebSocket): Promise<void> {
  socket.on('close', () => dashboards.delete(socket));
  const nodes = await registry.nodes();
  socket.send(`{"type":"nodes","nodes":[${nodes.join(',')}]}`);
  dashboards.add(socket);
}

const server = createServer();
const wss = new WebSocketServer({
  server,
  perMessageDeflate: false,
  maxPayload: 65_536,
  clientTracking: false,
});
wss.on('connection', (socket, request) => {
  socket.on('error', () => {});
  if (request.url === '/dashboard') serveDashboard(socket).catch(() => socket.terminate());
  else serveAgent(socket);
});
await registry.open();
serve(await listen(server));
