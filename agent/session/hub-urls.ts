import { AGENT_PATH, withoutSecret, withScheme } from '../../shared/index.ts';
import { FleetAgentError } from './errors.ts';

const schemes: Readonly<Record<string, string>> = {
  'http:': 'ws:',
  'https:': 'wss:',
  'ws:': 'ws:',
  'wss:': 'wss:',
};

/**
 * The WebSocket address of a hub's agents. `http` is taken as `ws` and `https` as `wss`, and `hub:8080` is complete;
 * without a path it is `/agent`, and `http(s)://host/fleet` is `/fleet/agent`; the path of a `ws(s)` address is taken as it
 * is. Throws where the text is no such address, or holds a name and password: they would end up in logs, and the hub asks
 * for a token.
 */
export function toAgentUrl(text: string): string {
  const complete = withScheme(text);
  const url = URL.canParse(complete) ? new URL(complete) : undefined;
  const scheme = url && schemes[url.protocol];
  if (url === undefined || scheme === undefined || url.hostname === '') {
    throw new FleetAgentError(
      'invalid_options',
      `"${withoutSecret(text)}" is not a hub's address: write it as ws://host:8080${AGENT_PATH} or https://host`,
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new FleetAgentError(
      'invalid_options',
      `the address of ${url.host} must not hold a name or password`,
    );
  }
  const below = url.pathname.replace(/\/+$/, '');
  const isWhole = below.endsWith(AGENT_PATH) || (below !== '' && url.protocol.startsWith('ws'));
  const path = isWhole ? url.pathname : `${below}${AGENT_PATH}`;
  return `${scheme}//${url.host}${path}${url.search}`;
}

/**
 * Several hubs, tried one after the other, round and round: between two tries of one each other is tried once. The
 * order is a random one of this agent's own, so that the agents of a hub that is lost spread over all others.
 */
export class HubUrls {
  readonly #urls: readonly string[];
  #next = 0;

  /** `urls` as `toAgentUrl` makes them; at least one. */
  constructor(urls: readonly string[], random: () => number) {
    const left = [...new Set(urls)];
    const order: string[] = [];
    while (left.length > 0) order.push(...left.splice(Math.floor(random() * left.length), 1));
    this.#urls = order;
  }

  /** How many there are. */
  get size(): number {
    return this.#urls.length;
  }

  /** The next one to try: never the one tried last, where there is another. */
  next(): string {
    const url = this.#urls[this.#next % this.#urls.length] ?? '';
    this.#next += 1;
    return url;
  }
}
