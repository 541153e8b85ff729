import { TokenBucket } from '../runtime/token-bucket.ts';

/** New nodes that one token may bring to a hub at once: more than one hub should hold. */
const BURST = 20_000;
/** After the burst, new nodes a second: 600 a minute. */
const PER_SECOND = 10;
/** Refused new nodes retry over this time. */
const SPREAD_MS = 20_000;
const FULL_RETRY_MS = 60_000;
/**
 * For this time after its start a hub believes agents that state an earlier registration: if the store was emptied
 * while no hub ran, the whole fleet is new to it, however many agents share a token.
 */
const RETURN_WITHIN_MS = 600_000;

/** Why an unknown node may not be registered now. */
export interface Refused {
  code: 'too_many_new_nodes' | 'fleet_full';
  retryAfterMs: number;
}

/** Limits new nodes: of the whole fleet, and by each token. A known node is never limited. */
export class Newcomers {
  readonly #maxNodes: number;
  readonly #nodes: () => number;
  readonly #startedAt: number;
  /** By token, as many as in the settings, and one bucket for agents that need none. */
  readonly #byToken = new Map<string, TokenBucket>();

  /** `nodes`: the number of nodes as far as this hub knows. The hub starts `now`. */
  constructor(maxNodes: number, nodes: () => number, now: number) {
    this.#maxNodes = maxNodes;
    this.#nodes = nodes;
    this.#startedAt = now;
  }

  /**
   * Why one more is too many at this hub time, or undefined: then it is counted. `returning`: its agent states an
   * earlier registration.
   */
  refusal(tokenKey: string, now: number, returning = false): Refused | undefined {
    if (this.#nodes() >= this.#maxNodes) return { code: 'fleet_full', retryAfterMs: FULL_RETRY_MS };
    if (returning && now - this.#startedAt < RETURN_WITHIN_MS) return undefined;
    let bucket = this.#byToken.get(tokenKey);
    if (!bucket) {
      bucket = new TokenBucket(PER_SECOND, BURST, now);
      this.#byToken.set(tokenKey, bucket);
    }
    if (bucket.take(now)) return undefined;
    return { code: 'too_many_new_nodes', retryAfterMs: Math.round((1 + Math.random()) * (SPREAD_MS / 2)) };
  }
}
