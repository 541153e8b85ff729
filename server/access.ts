import type { IncomingMessage } from 'node:http';
import { NOBODY, type Principal } from './principal.ts';
import { Tokens } from './tokens.ts';

export interface AccessRules {
  agentTokens: readonly string[];
  dashboardTokens: readonly string[];
  /** Tokens that may remove nodes, and read. Without any, only a hub without tokens lets nodes be removed. */
  adminTokens?: readonly string[];
  /** Origins of pages that may connect, besides the hub's own. */
  allowedOrigins: readonly string[];
  /** Take the client's address from `X-Forwarded-For`. */
  trustProxy: boolean;
}

/** Why somebody is not let in: no token, a wrong one, or one that is for other things. */
export type Verdict = 'missing' | 'wrong' | 'forbidden';

const localNames: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

/** The name in a Host header or an origin, without its port. */
function hostName(host: string): string {
  return host.replace(/:\d{1,5}$/, '').toLowerCase();
}

/** The token of an `Authorization: Bearer` header. */
export function bearer(request: IncomingMessage): string | undefined {
  return /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
}

/** Who may talk to the hub. Without tokens it is a hub for this machine alone. */
export class Access {
  readonly #agents: Tokens;
  readonly #dashboards: Tokens;
  readonly #admins: Tokens;
  readonly #origins: ReadonlySet<string>;
  readonly #trustProxy: boolean;

  constructor(rules: AccessRules) {
    this.#agents = new Tokens(rules.agentTokens);
    this.#dashboards = new Tokens(rules.dashboardTokens);
    this.#admins = new Tokens(rules.adminTokens ?? [], (place) => `admin token ${place}`);
    this.#origins = new Set(rules.allowedOrigins.map((origin) => origin.toLowerCase().replace(/\/$/, '')));
    this.#trustProxy = rules.trustProxy;
  }

  /** Somebody may come in without a token. Such a hub listens on loopback only. */
  get open(): boolean {
    return this.#agents.size === 0 || this.#dashboards.size === 0;
  }

  /** Whether agents need a token. */
  get agentsNeedTokens(): boolean {
    return this.#agents.size > 0;
  }

  /** Who may register and beat with this token. A dashboard's token is known, but not allowed to. */
  agent(token: string | undefined): Principal | Verdict {
    return judge(token, [this.#agents], [this.#dashboards, this.#admins]);
  }

  /** Who may read with this token. */
  dashboard(token: string | undefined): Principal | Verdict {
    if (this.#dashboards.size === 0) return NOBODY;
    return judge(token, [this.#dashboards, this.#admins], [this.#agents]);
  }

  /** Who may remove nodes with this token. Where any tokens are set, only an administrator. */
  admin(token: string | undefined): Principal | Verdict {
    if (this.#agents.size + this.#dashboards.size + this.#admins.size === 0) return NOBODY;
    if (token === undefined) return 'missing';
    const found = findIn([this.#admins], token);
    return found ?? (findIn([this.#agents, this.#dashboards], token) ? 'forbidden' : 'wrong');
  }

  /**
   * An open hub answers to its local names only, so that a page of another site cannot reach it by
   * a name of its own that resolves to 127.0.0.1 (DNS rebinding).
   */
  hostAllowed(request: IncomingMessage): boolean {
    return !this.open || localNames.has(hostName(request.headers.host ?? ''));
  }

  /** CORS does not protect WebSockets: a page may connect from the hub's own origin or a listed one. Programs send none. */
  originAllowed(request: IncomingMessage): boolean {
    const origin = request.headers.origin?.toLowerCase();
    if (origin === undefined) return true;
    return (
      this.#origins.has(origin) || origin.replace(/^https?:\/\//, '') === request.headers.host?.toLowerCase()
    );
  }

  /**
   * The address that lets somebody in: of the socket, or the one that the trusted proxy itself wrote down, the
   * last. Those before it are the client's own words.
   */
  peerAddress(request: IncomingMessage): string {
    const forwarded = this.#trustProxy ? request.headers['x-forwarded-for'] : undefined;
    const all = Array.isArray(forwarded) ? forwarded.join(',') : forwarded;
    const last = all?.split(',').at(-1)?.trim();
    return (last || request.socket.remoteAddress || 'unknown').replace(/^::ffff:/, '').slice(0, 64);
  }

  /** The client's address: of the socket, or of the first proxy's client where proxies are trusted. */
  remoteAddress(request: IncomingMessage): string {
    const forwarded = this.#trustProxy ? request.headers['x-forwarded-for'] : undefined;
    const first = (Array.isArray(forwarded) ? forwarded[0] : forwarded)?.split(',')[0]?.trim();
    return (first || request.socket.remoteAddress || 'unknown').replace(/^::ffff:/, '').slice(0, 64);
  }
}

/** Every list is gone through, whatever is found. */
function findIn(lists: readonly Tokens[], token: string): Principal | undefined {
  return lists.map((list) => list.find(token)).find((found) => found !== undefined);
}

function judge(
  token: string | undefined,
  allowed: readonly Tokens[],
  others: readonly Tokens[],
): Principal | Verdict {
  if (allowed.every(({ size }) => size === 0)) return NOBODY;
  if (token === undefined) return 'missing';
  return findIn(allowed, token) ?? (findIn(others, token) ? 'forbidden' : 'wrong');
}
