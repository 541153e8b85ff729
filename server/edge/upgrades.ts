import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { acceptAbsoluteForm, requestFault } from './request-faults.ts';
import { isAnswering } from './request-line.ts';
import { SAFE_HEADERS } from './safe-headers.ts';

/** Takes over a socket of a request to upgrade. */
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

/** Refuses an upgrade with a time to wait in milliseconds: rounded up in the header, exactly in the body. */
export function refuseForNow(socket: Duplex, status: 429 | 503, message: string, retryAfterMs: number): void {
  const headers = { 'Retry-After': String(Math.ceil(retryAfterMs / 1_000)) };
  refuseUpgrade(socket, status, message, headers, { retryAfterMs });
}

/** Refuses every upgrade of a path with 421: another hub serves it, this one does not. */
export function refusesUpgrades(why: string): UpgradeHandler {
  return (_request, socket) => refuseUpgrade(socket, 421, why);
}

const pathOf = ({ url = '' }: IncomingMessage): string => url.split('?', 1)[0]?.replace(/\/$/, '') ?? '';

/**
 * Routes upgrades by their exact path. Elsewhere an upgrade to WebSocket gets 404, and any other is ignored: `serve`
 * reads the request again, as HTTP. A hub is no tunnel.
 */
export function routeUpgrades(
  server: Server,
  routes: Readonly<Record<string, UpgradeHandler>>,
  serve: (socket: Duplex) => void = (socket) => void server.emit('connection', socket),
): void {
  server.on('connect', (_request, socket) => {
    socket.on('error', endOnError);
    if (isAnswering(socket)) socket.destroy();
    else refuseUpgrade(socket, 501, 'this is no proxy: CONNECT leads nowhere');
  });
  server.on('upgrade', (request, socket, head) => {
    // Anything written now would be taken for the answer to the previous request.
    if (isAnswering(socket)) {
      socket.destroy();
      return;
    }
    if (!asksForWebSocket(request) && !Object.hasOwn(routes, pathOf(request))) {
      socket.unshift(Buffer.concat([headWithoutUpgrade(request), head]));
      serve(socket);
      return;
    }
    socket.on('error', endOnError);
    acceptAbsoluteForm(request);
    const fault = requestFault(request);
    if (fault !== undefined) {
      refuseUpgrade(socket, 400, fault);
      return;
    }
    const path = pathOf(request);
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    if (route) route(request, socket, head);
    else refuseUpgrade(socket, 404, 'there is no socket at this path');
  });
}

/** The values of a header that is a list, in lower case. */
const listed = (value: string): string[] =>
  value
    .toLowerCase()
    .split(',')
    .map((name) => name.trim());

/** Whether a request asks for the only protocol that a hub changes to. */
function asksForWebSocket({ headers }: IncomingMessage): boolean {
  return listed(headers.upgrade ?? '').includes('websocket');
}

/** Headers of upgrades: `HTTP2-Settings` comes with one to h2c. */
const OF_UPGRADES = new Set(['upgrade', 'http2-settings']);

/**
 * The head of a request as it would have come without its upgrade. An unknown upgrade is to be ignored (RFC 9110, 7.8),
 * but Node no longer reads HTTP from the socket once it hands one over.
 */
function headWithoutUpgrade({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let place = 0; place < rawHeaders.length; place += 2) {
    const [name = '', value = ''] = rawHeaders.slice(place, place + 2);
    const lower = name.toLowerCase();
    if (OF_UPGRADES.has(lower)) continue;
    const kept =
      lower === 'connection' ? listed(value).filter((option) => !OF_UPGRADES.has(option)) : [value];
    if (kept.length > 0) lines.push(`${name}: ${kept.join(', ')}`);
  }
  // Latin-1, as Node decoded it.
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}
