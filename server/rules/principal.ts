import type { Proof } from '../../shared/index.ts';

/** Who talks to the hub: made once, where somebody comes in, and passed on. */
export interface Principal {
  /** How it showed who it is. */
  readonly by: Proof;
  /** The name of its token, for people. */
  readonly name?: string;
}

/** Somebody who showed nothing. */
export const NOBODY: Principal = { by: 'none' };

/** Who asks for something, and from where. */
export interface Caller {
  readonly remoteAddress: string;
  /** Somebody who showed nothing, where it is not said. */
  readonly principal?: Principal;
  /** An agent that says that it was registered before. */
  readonly known?: boolean;
}
