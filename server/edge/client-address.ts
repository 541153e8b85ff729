import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { Networks } from './dialects.ts';

/** The name of an unknown address. It is in no network. */
const UNKNOWN = 'unknown';

/** Loopback, private, link-local and unique local addresses: what `TRUST_PROXY=true` trusts. */
const PRIVATE = [
  ...['127.0.0.0/8', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', '100.64.0.0/10'],
  ...['::1/128', 'fc00::/7', 'fe80::/10'],
];

/** Parses a list of networks. Undefined if one entry is none. */
export function readNetworks(texts: readonly string[]): Networks | undefined {
  const networks = new Networks();
  return texts.every((text) => networks.add(text)) ? networks : undefined;
}

const anyPrivate = readNetworks(PRIVATE);

/**
 * An address in one spelling: without a port, brackets and zone, and an IPv4 address mapped into IPv6 as IPv4.
 * Undefined for other texts, such as `unknown` or `_hidden`.
 */
function readAddress(text: string): string | undefined {
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text)?.[1];
  const [address = ''] = (bracketed ?? text.replace(/^([^:]+):\d{1,5}$/, '$1')).split('%', 1);
  if (isIP(address) === 0) return undefined;
  const mapped = /^::ffff:(?:(\d+\.\d+\.\d+\.\d+)|([0-9a-f]{1,4}):([0-9a-f]{1,4}))$/i.exec(address);
  if (!mapped) return address.toLowerCase();
  const [, dotted, high = '', low = ''] = mapped;
  const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return dotted ?? [a >> 8, a & 255, b >> 8, b & 255].join('.');
}

/** The addresses of clients: their own, or the one that trusted proxies report. */
export class ClientAddresses {
  readonly #trusted: Networks | undefined;
  /** The proxies are not named: an address in a private network may be a proxy, or a client that lies. */
  readonly #anyPrivate: boolean;

  constructor(trusted: boolean | Networks) {
    this.#anyPrivate = trusted === true;
    this.#trusted = typeof trusted === 'boolean' ? (trusted ? anyPrivate : undefined) : trusted;
  }

  /** The client's address, for display. */
  of(request: IncomingMessage): string {
    return this.#walk(request, false);
  }

  /**
   * The address that admission and counting depend on. If the proxies are not named, it is the one that the nearest
   * proxy reports: everything before it may be the client's own invention.
   */
  proven(request: IncomingMessage): string {
    return this.#walk(request, this.#anyPrivate);
  }

  /** From the right, past trusted proxies: the entry to the left of a hop was written by that hop. */
  #walk(request: IncomingMessage, nearestOnly: boolean): string {
    const peer = readAddress(request.socket.remoteAddress ?? '') ?? UNKNOWN;
    if (!this.#trusted?.has(peer)) return peer;
    const hops = hopsOf(request);
    if (hops === undefined) return peer;
    for (const [place, hop] of hops.toReversed().entries()) {
      const address = readAddress(hop);
      if (address === undefined) return UNKNOWN;
      if (nearestOnly || place === hops.length - 1 || !this.#trusted.has(address)) return address;
    }
    return UNKNOWN;
  }
}

/** The forwarding hops of a request, the client first; undefined without any. Headers that disagree prove nothing. */
function hopsOf({ headers }: IncomingMessage): string[] | undefined {
  const each = headers['x-forwarded-for'];
  const list = (Array.isArray(each) ? each.join(',') : each)?.trim();
  const simple = list ? list.split(',').map((hop) => hop.trim()) : undefined;
  const standard = headers.forwarded?.trim() ? headers.forwarded.split(',').map(forOf) : undefined;
  if (!simple || !standard) return simple ?? standard;
  return String(simple.map(readAddress)) === String(standard.map(readAddress)) ? simple : [UNKNOWN];
}

/** The `for` of one element of `Forwarded` (RFC 7239). */
function forOf(element: string): string {
  const found = /(?:^|;)\s*for\s*=\s*(?:"([^"]*)"|([^;\s]*))/i.exec(element);
  return found?.[1] ?? found?.[2] ?? UNKNOWN;
}
