import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { KNOWN_HEADER } from '../../shared/index.ts';
import { ANONYMOUS, type Caller, type Principal } from '../rules/principal.ts';
import type { Clock } from '../runtime/clock.ts';
import { ClientAddresses } from './client-address.ts';
import type { Networks } from './dialects.ts';
import type { Entrance, Refusals } from './refusals.ts';
import { Tokens } from './tokens.ts';
import { TOO_MANY_WRONG, WrongTokens } from './wrong-tokens.ts';

export interface AccessRules {
  agentTokens: readonly string[];
  dashboardTokens: readonly string[];
  /** Tokens that may remove nodes, and read. Without any, only a hub without tokens lets nodes be removed. */
  adminTokens?: readonly string[];
  /** Origins of pages that may connect, besides the hub's own. */
  allowedOrigins: readonly string[];
  /** Proxies whose headers give a client's address; `true`: any proxy in a private network. */
  trustProxy: boolean | Networks;
}

/** The part of the rules that may change while a hub runs. */
export type TokenRules = Pick<AccessRules, 'agentTokens' | 'dashboardTokens' | 'adminTokens'>;

/** What a caller asks to do: register and beat, read, or remove nodes. */
export type Right = 'agent' | 'reader' | 'admin';

/** What is wrong with a token: it is missing, unknown, or has other rights. */
export type TokenFault = 'missing' | 'wrong' | 'forbidden';

/** Why a caller is refused, as a code for programs and in words. */
export interface NoAccess {
  refused: 'unauthenticated' | 'forbidden' | 'rate_limited';
  why: string;
  /** Of `rate_limited`: when another attempt makes sense, in milliseconds. */
  retryAfterMs: number;
}

/** What a request needs for admission. */
export interface Asked {
  /** With `none`, only the names of the hub and of the page are checked. */
  right: Right | 'none';
  /** Refusals are counted by entrance. */
  entrance: Entrance;
  /** Whether the request may change something: then its page must be the hub's own, or a listed one. */
  changes?: boolean;
  /** Whether callers at this address need no token. A caller with a token is its token's principal all the same. */
  opensTo?: (peerAddress: string) => boolean;
}

/** What access works with. */
export interface AccessParts {
  clock: Clock;
  refusals: Refusals;
  /** Called when a right token came on this connection, or none was needed. */
  known: (socket: Duplex) => void;
}

const localNames: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

/** Whether a caller says that it was registered before; such callers go ahead of newcomers. */
export const saysKnown = ({ headers }: IncomingMessage): boolean => headers[KNOWN_HEADER] === '1';

const forbidden = (why: string): NoAccess => ({ refused: 'forbidden', why, retryAfterMs: 0 });

const FOR_OTHER_THINGS: Readonly<Record<Right, string>> = {
  agent: 'this token may read, not register',
  reader: 'this token may register, not read',
  admin: 'this needs one of ADMIN_TOKENS',
};

/** The token of an `Authorization: Bearer` header. */
export function bearer(request: IncomingMessage): string | undefined {
  return /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
}

/**
 * Makes the principal of each caller, or refuses the caller: the one place that reads tokens. Without tokens it is a
 * hub for this machine alone.
 */
export class Access {
  #agents = new Tokens([]);
  #dashboards = new Tokens([]);
  #admins = new Tokens([]);
  readonly #origins: ReadonlySet<string | undefined>;
  readonly #addresses: ClientAddresses;
  readonly #parts: AccessParts;
  readonly #wrongTokens = new WrongTokens();

  constructor(rules: AccessRules, parts: AccessParts) {
    this.#parts = parts;
    this.replaceTokens(rules);
    this.#origins = new Set(rules.allowedOrigins.map((origin) => originUrl(origin)?.origin));
    this.#addresses = new ClientAddresses(rules.trustProxy);
  }

  /** Replaces the tokens; admitted callers stay. */
  replaceTokens({ agentTokens, dashboardTokens, adminTokens = [] }: TokenRules): void {
    this.#agents = new Tokens(agentTokens);
    this.#dashboards = new Tokens(dashboardTokens);
    this.#admins = new Tokens(adminTokens, (place) => `admin token ${place}`);
  }

  /** Whether a caller without a token may be admitted. Such a hub listens on loopback only. */
  get open(): boolean {
    return this.#agents.size === 0 || this.#dashboards.size === 0;
  }

  /** Whether agents need a token. */
  get agentsNeedTokens(): boolean {
    return this.#agents.size > 0;
  }

  /** The principal of a request, or why it is refused. Refusals are counted and logged. */
  admit(request: IncomingMessage, { right, entrance, changes = true, opensTo }: Asked): Principal | NoAccess {
    if (!this.hostAllowed(request)) return forbidden('a hub without tokens answers to localhost only');
    if (changes && !this.originAllowed(request)) return forbidden('this origin is not allowed');
    if (right === 'none') return ANONYMOUS;
    const found = this.principalOf(right, bearer(request));
    if (typeof found !== 'string') {
      this.#parts.known(request.socket);
      return found;
    }
    const address = this.peerAddress(request);
    return opensTo?.(address) ? ANONYMOUS : this.#refuse(found, { right, entrance, address });
  }

  /** The same for a token that comes after the handshake, in Socket.IO's `auth`, from this address. */
  admitAuth(
    auth: Readonly<Record<string, unknown>>,
    asked: { right: Right; entrance: Entrance; address: string },
  ): Principal | NoAccess {
    const { token } = auth;
    const found = this.principalOf(asked.right, typeof token === 'string' ? token : undefined);
    return typeof found === 'string' ? this.#refuse(found, asked) : found;
  }

  /** The caller of a request that was admitted as this principal. */
  caller(request: IncomingMessage, principal: Principal): Caller {
    return { remoteAddress: this.remoteAddress(request), principal, known: saysKnown(request) };
  }

  #refuse(
    fault: TokenFault,
    { right, entrance, address }: { right: Right; entrance: Entrance; address: string },
  ): NoAccess {
    const { clock, refusals } = this.#parts;
    refusals.note(entrance, fault, address);
    if (fault === 'forbidden') return forbidden(FOR_OTHER_THINGS[right]);
    const retryAfterMs = this.#wrongTokens.count(address, clock.now());
    if (retryAfterMs > 0) return { refused: 'rate_limited', why: TOO_MANY_WRONG, retryAfterMs };
    return { refused: 'unauthenticated', why: `the token is ${fault}`, retryAfterMs };
  }

  /** The principal of a token, if it has this right. */
  principalOf(right: Right, token: string | undefined): Principal | TokenFault {
    switch (right) {
      case 'agent':
        // A dashboard's token is known, but has no such right.
        return principalIn(token, [this.#agents], [this.#dashboards, this.#admins]);
      case 'reader':
        if (this.#dashboards.size === 0) return ANONYMOUS;
        return principalIn(token, [this.#dashboards, this.#admins], [this.#agents]);
      case 'admin': {
        // Where any tokens are set, only an administrator has this right.
        const others = [this.#agents, this.#dashboards];
        const none = [...others, this.#admins].every(({ size }) => size === 0);
        return none ? ANONYMOUS : principalIn(token, [this.#admins], others, true);
      }
      default:
        return right satisfies never;
    }
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
    // Parsed with the scheme of the origin, which implies the port that is not written.
    return this.#origins.has(origin.origin) || origin.host === originUrl(`${origin.protocol}//${host}`)?.host;
  }

  /** The address that admission depends on, and by which wrong tokens are counted. */
  peerAddress(request: IncomingMessage): string {
    return this.#addresses.proven(request);
  }

  /** The client's address, for display: its own, or the one that trusted proxies report. */
  remoteAddress(request: IncomingMessage): string {
    return this.#addresses.of(request);
  }
}

/** Searches every list, also after a match: the time taken must not depend on the token. */
function findIn(lists: readonly Tokens[], token: string): Principal | undefined {
  return lists.map((list) => list.find(token)).find((found) => found !== undefined);
}

/** Without any token in `allowed` none is required, unless one is `needed` all the same. */
function principalIn(
  token: string | undefined,
  allowed: readonly Tokens[],
  others: readonly Tokens[],
  needed = false,
): Principal | TokenFault {
  if (!needed && allowed.every(({ size }) => size === 0)) return ANONYMOUS;
  if (token === undefined) return 'missing';
  return findIn(allowed, token) ?? (findIn(others, token) ? 'forbidden' : 'wrong');
}

/** The name in a Host header, without its port and the trailing dot. */
function hostName(host: string): string {
  return host
    .replace(/:\d{0,5}$/, '')
    .replace(/\.$/, '')
    .toLowerCase();
}

/** Parses an origin. Undefined for `null` and other texts, such as a URL with a path or a user. */
function originUrl(text: string): URL | undefined {
  const url = /^https?:\/\/[^/@?#\s]+\/?$/i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
  return url;
}
