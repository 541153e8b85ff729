import { createServer, type IncomingMessage, type Server, request as sendOn } from 'node:http';
import { connect, type Socket } from 'node:net';

export interface ConnectProxy {
  /** `host:port` of it. */
  address: string;
  /** What it was asked for, in order. */
  asked: string[];
  close(): Promise<void>;
}

/** A forward proxy for one target, whatever name it is asked for; it tunnels (CONNECT) and passes plain requests on. */
export async function startConnectProxy(target: number, credentials?: string): Promise<ConnectProxy> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const wanted = credentials && `Basic ${Buffer.from(credentials).toString('base64')}`;
  const isAllowed = ({ headers }: IncomingMessage): boolean =>
    wanted === undefined || headers['proxy-authorization'] === wanted;
  const server: Server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    if (!isAllowed(request)) return void response.writeHead(407, { 'proxy-authenticate': 'Basic' }).end();
    const { pathname, search, host } = new URL(request.url ?? '');
    const options = { host: '127.0.0.1', port: target, path: `${pathname}${search}`, method: request.method };
    const onward = sendOn({ ...options, headers: { ...request.headers, host } }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    asked.push(`CONNECT ${request.url}`);
    socket.on('error', () => {});
    if (!isAllowed(request)) return void socket.end('HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n');
    const onward = connect(target, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(onward).pipe(socket);
    });
    sockets.add(onward);
    onward.on('error', () => socket.destroy());
    onward.on('close', () => sockets.delete(onward));
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const at = server.address();
  if (at === null || typeof at === 'string') throw new TypeError('not listening');
  return {
    address: `127.0.0.1:${at.port}`,
    asked,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
