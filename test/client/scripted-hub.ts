import { createServer } from 'node:http';
import { Server, type Socket } from 'socket.io';

/** What a subscription is answered with, and all that a script sends after it. */
export type Script = (
  socket: Pick<Socket, 'emit' | 'disconnect'>,
  ack: (answer: unknown) => void,
  request: unknown,
) => void;

const hubState = { state: 'live', since: '2026-03-05T12:00:00.000Z', hubs: 1 };
export const accepted = { ok: true, cursor: 'c', resumed: false, total: 1, hub: hubState };

/** Something in a hub's place, which answers each `subscribe` as the test says, and signs of life as a hub does. */
export async function startScriptedHub(script: Script): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer((_request, response) => void response.end());
  const io = new Server(server, { transports: ['websocket'], maxHttpBufferSize: 1e8 });
  io.on('connection', (socket) => {
    socket.on('subscribe', (request: unknown, ack: (answer: unknown) => void) =>
      script(socket, ack, request),
    );
    socket.on('node', (_request: unknown, ack: (answer: unknown) => void) =>
      ack({ ok: false, code: 'invalid', message: 'id' }),
    );
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('not listening');
  return { url: `http://127.0.0.1:${address.port}`, close: () => io.close() };
}
