import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

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

export type Verdict = 'ok' | 'missing' | 'wrong' | 'forbidden';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Compares with every token, each in constant time, so that the time taken tells nothing of any of them. */
function matchesAny(given: string, digests: readonly Buffer[]): boolean {
  const mine = digest(given);
  let found = false;
  for (const theirs of digests) found = timingSafeEqual(mine, theirs) || found;
  return found;
}

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
  readonly #agents: readonly Buffer[];
  readonly #dashboards: readonly Buffer[];
  readonly #admins: readonly Buffer[];
  readonly #origins: ReadonlySet<string>;
  readonly #trustProxy: boolean;

  constructor(rules: AccessRules) {
    this.#agents = rules.agentTokens.map(digest);
    this.#dashboards = rules.dashboardTokens.map(digest);
    this.#admins = (rules.adminTokens ?? []).map(digest);
    this.#origins = new Set(rules.allowedOrigins.map((origin) => origin.toLowerCase().replace(/\/$/, '')));
    this.#trustProxy = rules.trustProxy;
  }

  /** Somebody may come in without a token. Such a hub listens on loopback only. */
  get open(): boolean {
    return this.#agents.length === 0 || this.#dashboards.length === 0;
  }

  /** May this token register and beat? A dashboard's token is known, but not allowed to. */
  agent(token: string | undefined): Verdict {
    return judge(token, this.#agents, [...this.#dashboards, ...this.#admins]);
  }

  /** May this token read? */
  dashboard(token: string | undefined): Verdict {
    if (this.#dashboards.length === 0) return 'ok';
    return judge(token, [...this.#dashboards, ...this.#admins], this.#agents);
  }

  /** May this token remove nodes? Where any tokens are set, only an administrator's. */
  admin(token: string | undefined): Verdict {
    if (this.#agents.length + this.#dashboards.length + this.#admins.length === 0) return 'ok';
    if (token === undefined) return 'missing';
    if (matchesAny(token, this.#admins)) return 'ok';
    return matchesAny(token, [...this.#agents, ...this.#dashboards]) ? 'forbidden' : 'wrong';
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

function judge(token: string | undefined, allowed: readonly Buffer[], others: readonly Buffer[]): Verdict {
  if (allowed.length === 0) return 'ok';
  if (token === undefined) return 'missing';
  if (matchesAny(token, allowed)) return 'ok';
  return matchesAny(token, others) ? 'forbidden' : 'wrong';
}
