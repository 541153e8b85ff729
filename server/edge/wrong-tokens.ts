import { isIPv6 } from 'node:net';

/** The answer to an address with too many wrong tokens. */
export const TOO_MANY_WRONG =
  'too many wrong tokens came from this address; the right one is taken at any time';
/** Wrong tokens that are answered 401 before an address gets 429. */
const FREE = 10;
const WINDOW_MS = 60_000;
/** Addresses in memory; beyond it the one whose minute began first is dropped. */
const MOST_ADDRESSES = 10_000;

/**
 * The key by which a client is counted: an IPv4 address, or the /64 network of an IPv6 address, which one machine may
 * have for itself.
 */
export function clientKey(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = '', tail] = (address.split('%', 1)[0] ?? '').split('::');
  const groups = (text: string | undefined): string[] => (text ? text.split(':') : []);
  const [first, last] = [groups(head), groups(tail)];
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - first.length - last.length);
  const all = [...first, ...Array.from({ length: zeros }, () => '0'), ...last];
  return all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}

/**
 * Missing and wrong tokens by client address. It counts only after a token was found wrong, so that a right token is
 * never refused for its address.
 */
export class WrongTokens {
  readonly #byAddress = new Map<string, { count: number; until: number }>();

  /**
   * Counts one at a hub time. Returns 0 if it is among the first of its minute, else the time to wait, in milliseconds.
   */
  count(address: string, now: number): number {
    const key = clientKey(address);
    const known = this.#byAddress.get(key);
    if (known && known.until > now) {
      known.count += 1;
      return known.count <= FREE ? 0 : known.until - now;
    }
    this.#byAddress.delete(key);
    this.#byAddress.set(key, { count: 1, until: now + WINDOW_MS });
    const [oldest] = this.#byAddress.keys();
    if (this.#byAddress.size > MOST_ADDRESSES && oldest !== undefined) this.#byAddress.delete(oldest);
    return 0;
  }

  /** Addresses in memory. */
  get size(): number {
    return this.#byAddress.size;
  }
}
