import type { Proof } from '../../shared/index.ts';

/** The identity of a caller: made once, at the entrance, and passed on. */
export interface Principal {
  /** The proof of identity. */
  readonly by: Proof;
  /** The name of its token, for display. */
  readonly name?: string;
}

/** An anonymous caller. */
export const ANONYMOUS: Principal = { by: 'none' };

/** The origin of a request: identity and address. */
export interface Caller {
  readonly remoteAddress: string;
  /** Default: an anonymous caller. */
  readonly principal?: Principal;
  /** An agent that states an earlier registration. */
  readonly known?: boolean;
}
