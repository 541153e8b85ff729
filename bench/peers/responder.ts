// No server at all: a TCP socket that answers every chunk with the bytes of a pong. What the load can drive at most.
import { createServer } from 'node:net';
import { listen, serve } from '../harness/serve.ts';

const PONG = Buffer.from([0x8a, 0x00]);
const UPGRADED = Buffer.from('HTTP/1.1 101 Switching Protocols\r\n\r\n');
const GET = 0x47;

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {});
  socket.on('data', (data: Buffer) => void socket.write(data[0] === GET ? UPGRADED : PONG));
});
serve(await listen(server));
