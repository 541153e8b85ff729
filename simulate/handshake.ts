import { createHash, randomBytes } from 'node:crypto';
import { readRetryAfterHeader } from '../agent/session/backoff.ts';
import { KNOWN_HEADER, readRetryAfterMs } from '../shared/index.ts';

/** More than any answer to an upgrade has before its body. */
const LONGEST_HEAD = 16 * 1024;
/** RFC 6455, section 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** One key for all: it guards caches between, not secrets, and its answer is computed once. */
const key = randomBytes(16).toString('base64');
const accept = createHash('sha1').update(key).update(GUID).digest('base64');

/** The request that asks for a WebSocket. `known`: this agent was registered before, so that a hub may take it first. */
export function upgradeRequest(url: URL, token: string | undefined, known: boolean): string {
  return [
    `GET ${url.pathname}${url.search} HTTP/1.1`,
    `Host: ${url.host}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${key}`,
    'Sec-WebSocket-Version: 13',
    ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
    ...(known ? [`${KNOWN_HEADER}: 1`] : []),
    '\r\n',
  ].join('\r\n');
}

export type Answer =
  /** `rest` are the frames that came in the same packet. */
  | { kind: 'open'; rest: Buffer }
  | { kind: 'refused'; status: number; retryAfterMs?: number }
  | { kind: 'failed'; message: string };

/** The answer to an upgrade, or nothing while its head is not whole. */
export function readAnswer(data: Buffer): Answer | undefined {
  const end = data.indexOf('\r\n\r\n');
  if (end < 0) {
    return data.length > LONGEST_HEAD ? { kind: 'failed', message: 'no HTTP answer' } : undefined;
  }
  const [first = '', ...lines] = data.subarray(0, end).toString('latin1').split('\r\n');
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1];
  if (status === undefined) return { kind: 'failed', message: 'no HTTP answer' };
  const headers = new Map(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const rest = data.subarray(end + 4);
  if (status === '101') {
    const right = headers.get('sec-websocket-accept') === accept;
    return right ? { kind: 'open', rest } : { kind: 'failed', message: 'a wrong Sec-WebSocket-Accept' };
  }
  const retryAfterMs =
    readRetryAfterMs(rest.toString('utf8')) ??
    readRetryAfterHeader(headers.get('retry-after'), headers.get('date'));
  return { kind: 'refused', status: Number(status), ...(retryAfterMs !== undefined && { retryAfterMs }) };
}
