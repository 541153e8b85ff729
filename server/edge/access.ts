import type { IncomingMessage } from 'node:http';
import { NOBODY, type Principal } from '../rules/principal.ts';
import { ClientAddresses } from './client-address.ts';
import type { Networks } from './dialects.ts';
import { Tokens } from './tokens.ts';

export interface AccessRules {
  agentTokens: readonly string[];
  dashboardTokens: readonly string[];
  /** Tokens that may remove nodes, and read. Without any, only a hub without tokens lets nodes be removed. */
  adminTokens?: readonly string[];
  /** Origins of pages that may connect, besides the hub's own. */
  allowedOrigins: readonly string[];
  /** Proxies whose word on a client's address is taken; `true`: any in a private network. */
  trustProxy: boolean | Networks;
}

/** The part of the rules that may change while a hub runs. */
export type TokenRules = Pick<AccessRules, 'agentTokens' | 'dashboardTokens' | 'adminTokens'>;

/** Why somebody is not let in: no token, a wrong one, or one that is for other things. */
export type Verdict = 'missing' | 'wrong' | 'forbidden';

const localNames: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

/** The name in a Host header, without its port and the dot of a complete name. */
function hostName(host: string): string {
  return host
    .replace(/:\d{0,5}$/, '')
    .replace(/\.$/, '')
    .toLowerCase();
}

/** An origin; nothing for `null` and whatever is none, such as one with a path or a user. */
function originUrl(text: string): URL | undefined {
  const url = /^https?:\/\/[^/@?#\s]+\/?$/i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
  return url;
}

/** The token of an `Authorization: Bearer` header. */
export function bearer(request: IncomingMessage): string | undefined {
  return /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
}

/** Who may talk to the hub. Without tokens it is a hub for this machine alone. */
export class Access {
  #agents = new Tokens([]);
  #dashboards = new Tokens([]);
  #admins = new Tokens([]);
  readonly #origins: ReadonlySet<string | undefined>;
  readonly #addresses: ClientAddresses;

  constructor(rules: AccessRules) {
    this.replaceTokens(rules);
    this.#origins = new Set(rules.allowedOrigins.map((origin) => originUrl(origin)?.origin));
    this.#addresses = new ClientAddresses(rules.trustProxy);
  }

  /** From now on these are the tokens; who is in already stays. */
  replaceTokens({ agentTokens, dashboardTokens, adminTokens = [] }: TokenRules): void {
    this.#agents = new Tokens(agentTokens);
    this.#dashboards = new Tokens(dashboardTokens);
    this.#admins = new Tokens(adminTokens, (place) => `admin token ${place}`);
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
    const { origin: said, host = '' } = request.headers;
    if (said === undefined) return true;
    const origin = originUrl(said);
    if (!origin) return false;
    // Read with the scheme of the origin, which knows the port that is not written.
    return this.#origins.has(origin.origin) || origin.host === originUrl(`${origin.protocol}//${host}`)?.host;
  }

  /** The address that lets somebody in, and by which wrong tokens are counted. */
  peerAddress(request: IncomingMessage): string {
    return this.#addresses.proven(request);
  }

  /** The client's address, for people: its own, or what trusted proxies say of it. */
  remoteAddress(request: IncomingMessage): string {
    return this.#addresses.of(request);
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
