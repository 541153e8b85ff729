import { AGENT_PATH } from '../shared/index.ts';
import { FleetAgentError } from './errors.ts';

const schemes: Readonly<Record<string, string>> = {
  'http:': 'ws:',
  'https:': 'wss:',
  'ws:': 'ws:',
  'wss:': 'wss:',
};

/**
 * The WebSocket address of a hub's agents. `http` is taken as `ws` and `https` as `wss`; without a path it is
 * `/agent`. Throws where the text is no such address, or holds a name and password: they would end up in logs,
 * and the hub asks for a token.
 */
export function toAgentUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const scheme = url && schemes[url.protocol];
  if (url === undefined || scheme === undefined || url.hostname === '') {
    throw new FleetAgentError(
      'invalid_options',
      `"${text}" is not a hub's address: write it as ws://host:8080${AGENT_PATH} or https://host`,
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new FleetAgentError(
      'invalid_options',
      `the address of ${url.host} must not hold a name or password`,
    );
  }
  const path = url.pathname === '/' ? AGENT_PATH : url.pathname;
  return `${scheme}//${url.host}${path}${url.search}`;
}

/** Several hubs, each tried once per round, each round in a new random order. */
export class HubUrls {
  readonly #urls: readonly string[];
  readonly #random: () => number;
  #round: string[] = [];
  #last = '';

  /** `urls` as `toAgentUrl` makes them; at least one. */
  constructor(urls: readonly string[], random: () => number) {
    this.#urls = urls;
    this.#random = random;
  }

  /** The next one to try: never the one tried last, where there is another. */
  next(): string {
    if (this.#round.length === 0) this.#round = this.#shuffle();
    this.#last = this.#round.shift() ?? this.#last;
    return this.#last;
  }

  #shuffle(): string[] {
    const left = [...new Set(this.#urls)];
    const round: string[] = [];
    while (left.length > 0) round.push(...left.splice(Math.floor(this.#random() * left.length), 1));
    const [first] = round;
    if (round.length > 1 && first !== undefined && first === this.#last) {
      round.shift();
      round.push(first);
    }
    return round;
  }
}
