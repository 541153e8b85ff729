import { TokenBucket } from '../runtime/token-bucket.ts';

/** New nodes that one token may bring to a hub at once: more than one hub should hold. */
const BURST = 20_000;
/** And then so many a second: 600 a minute. */
const PER_SECOND = 10;
/** Those that are too many come again over this long. */
const SPREAD_MS = 20_000;
const FULL_RETRY_MS = 60_000;

/** Why a node that is not known may not be registered now. */
export interface Refused {
  code: 'too_many_new_nodes' | 'fleet_full';
  retryAfterMs: number;
}

/** How many nodes may become known: of the whole fleet, and by each token. A node that is known is never asked for. */
export class Newcomers {
  readonly #maxNodes: number;
  readonly #nodes: () => number;
  /** By token, as many as there are in the settings, and one for those who need none. */
  readonly #byToken = new Map<string, TokenBucket>();

  /** `nodes`: how many the fleet has, as far as this hub knows. */
  constructor(maxNodes: number, nodes: () => number) {
    this.#maxNodes = maxNodes;
    this.#nodes = nodes;
  }

  /** Why one more is too many at this hub time, or undefined: then it is counted. */
  refusal(tokenKey: string, now: number): Refused | undefined {
    if (this.#nodes() >= this.#maxNodes) return { code: 'fleet_full', retryAfterMs: FULL_RETRY_MS };
    let bucket = this.#byToken.get(tokenKey);
    if (!bucket) {
      bucket = new TokenBucket(PER_SECOND, BURST, now);
      this.#byToken.set(tokenKey, bucket);
    }
    if (bucket.take(now)) return undefined;
    return { code: 'too_many_new_nodes', retryAfterMs: Math.round((1 + Math.random()) * (SPREAD_MS / 2)) };
  }
}
