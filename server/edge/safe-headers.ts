import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { isAnswering } from './request-line.ts';

/**
 * Headers of every answer unless its route sets others: no caching, no type sniffing, no framing outside the hub's own
 * page. A page and its files set their own policy and caching.
 */
export const SAFE_HEADERS = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
} as const;

/** Faults of bytes that are no request, or no whole one in time: status and a sentence. */
const faults: Readonly<Record<string, readonly [status: number, detail: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'the request did not come in time'],
  HPE_HEADER_OVERFLOW: [431, 'the path and headers are larger than 16 KiB'],
};

/** Answers bytes that are no HTTP request, and ends their connection. */
export function answerNoRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  // While a request is not answered yet, this would be taken for its answer.
  if (!socket.writable || isAnswering(socket)) {
    socket.destroy();
    return;
  }
  const [status, detail] = faults[error.code ?? ''] ?? [400, 'this is no HTTP request'];
  const title = STATUS_CODES[status] ?? 'Error';
  const body = JSON.stringify({ type: 'about:blank', title, status, code: 'invalid', detail });
  const headers = {
    Connection: 'close',
    'Content-Type': 'application/problem+json',
    'Content-Length': Buffer.byteLength(body),
    ...SAFE_HEADERS,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${title}\r\n${lines.join('')}\r\n${body}`, () => socket.destroy());
}
