// Bare ws: takes sockets, answers pings, and keeps nothing. The floor of this runtime, not a hub.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { sharedNow } from '../harness/processes.ts';
import { listen, serve } from '../harness/serve.ts';

const server = createServer();
const wss = new WebSocketServer({
  server,
  perMessageDeflate: false,
  maxPayload: 65_536,
  clientTracking: false,
});
let closed = 0;
let lastCloseAt = 0;
wss.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', () => {});
  socket.on('close', () => {
    closed += 1;
    lastCloseAt = sharedNow();
  });
});
serve(await listen(server), { closes: () => ({ closed, lastCloseAt }) });
