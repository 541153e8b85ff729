import { createHash, timingSafeEqual } from 'node:crypto';
import type { Principal } from '../rules/principal.ts';

/** The shortest token that the settings take, also behind a name. */
const SHORTEST_TOKEN = 8;

/** A name, a colon and the token. Tokens of older fleets may contain a colon. */
const named = new RegExp(`^([A-Za-z][A-Za-z0-9_.-]{0,63}):(.{${SHORTEST_TOKEN},})$`);

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/**
 * A list of tokens. An entry `name:token` matches by its token and as a whole, so that an older token with a colon
 * still works.
 */
export class Tokens {
  readonly #known: ReadonlyArray<{ digests: readonly Buffer[]; principal: Principal }>;

  /** `unnamed` names a token without a name by its place in the list, from 1. */
  constructor(entries: readonly string[], unnamed?: (place: number) => string) {
    this.#known = entries.map((entry, index) => {
      const [, name = unnamed?.(index + 1), token] = named.exec(entry) ?? [];
      const digests = token === undefined ? [digest(entry)] : [digest(entry), digest(token)];
      return { digests, principal: { by: 'token', ...(name !== undefined && { name }) } };
    });
  }

  get size(): number {
    return this.#known.length;
  }

  /** The principal of a token. It is compared with every entry in constant time: the time taken reveals nothing. */
  find(given: string): Principal | undefined {
    const mine = digest(given);
    let found: Principal | undefined;
    for (const { digests, principal } of this.#known) {
      for (const theirs of digests) if (timingSafeEqual(mine, theirs)) found = principal;
    }
    return found;
  }
}

/** Pairs of lists that share a token, by the names of the lists. */
export function sharedTokens(lists: Readonly<Record<string, readonly string[]>>): string[] {
  const all = Object.entries(lists).map(([name, entries]) => ({
    name,
    entries,
    tokens: new Tokens(entries),
  }));
  return all.flatMap(({ name, entries }, index) =>
    all
      .slice(index + 1)
      .filter((other) => entries.some((entry) => isIn(entry, other.tokens)))
      .map((other) => `${name} and ${other.name}`),
  );
}

const isIn = (entry: string, tokens: Tokens): boolean =>
  tokens.find(entry) !== undefined || tokens.find(named.exec(entry)?.[2] ?? entry) !== undefined;
