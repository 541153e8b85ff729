import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { acceptAbsoluteForm, requestFault } from './request-faults.ts';
import { isAnswering } from './request-line.ts';
import { SAFE_HEADERS } from './safe-headers.ts';

/** Takes over a socket that asked to be upgraded. */
export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** Until the handler of an upgrade has its own listener, an error of the raw socket would end the process. */
export function endOnError(this: Duplex): void {
  this.destroy();
}

/** Answers an upgrade with a plain HTTP response and ends the socket. */
export function refuseUpgrade(
  socket: Duplex,
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
  more: Readonly<Record<string, number>> = {},
): void {
  const body = JSON.stringify({ error: STATUS_CODES[status] ?? 'Error', message, ...more });
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}`,
    'Connection: close',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...Object.entries({ ...SAFE_HEADERS, ...headers }).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.once('finish', () => socket.destroy());
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
}

/** Refuses an upgrade for so many milliseconds: rounded up in the header, exactly in the body. */
export function refuseForNow(socket: Duplex, status: 429 | 503, message: string, retryAfterMs: number): void {
  const headers = { 'Retry-After': String(Math.ceil(retryAfterMs / 1_000)) };
  refuseUpgrade(socket, status, message, headers, { retryAfterMs });
}

/** Whoever comes to this path is refused with 421: this hub does not serve them, another one does. */
export function refusesUpgrades(why: string): UpgradeHandler {
  return (_request, socket) => refuseUpgrade(socket, 421, why);
}

/** Routes upgrades by path, exactly; an unknown path gets 404. */
export function routeUpgrades(server: Server, routes: Readonly<Record<string, UpgradeHandler>>): void {
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', endOnError);
    // Whatever is written now would be taken for the answer to the request before it.
    if (isAnswering(socket)) {
      socket.destroy();
      return;
    }
    acceptAbsoluteForm(request);
    const fault = requestFault(request);
    if (fault !== undefined) {
      refuseUpgrade(socket, 400, fault);
      return;
    }
    const path = (request.url ?? '').split('?', 1)[0]?.replace(/\/$/, '') ?? '';
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    if (route) route(request, socket, head);
    else refuseUpgrade(socket, 404, 'there is no socket at this path');
  });
}
