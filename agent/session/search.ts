import type { AgentClock } from './clock.ts';
import type { HubConnection, HubConnectionListener } from './hub-connection.ts';
import type { Registered } from './hub-messages.ts';
import type { Ended } from './next-step.ts';

/** `silent`: the hub left heartbeats unanswered. `move`: it asked for it, as it cannot reach its store. */
export type SearchCause = 'silent' | 'move';

export interface SearchParts {
  clock: AgentClock;
  /** Begins an attempt at the next hub. */
  connect: (listener: HubConnectionListener) => HubConnection;
  /** Sends the registration. */
  register: (connection: HubConnection) => void;
  /** Milliseconds before the next attempt, or null: there is none. */
  delayAfter: (how: Ended) => number | null;
  /** Another hub took the node; the connection is the agent's from now on. */
  found: (connection: HubConnection, reply: Registered) => void;
  /** The last attempt failed. */
  over: () => void;
}

/**
 * Looks for another hub while the session lives on: its hub may only be slow, and no other may take the node. The
 * session ends when another one has begun, so that the node is never without one.
 */
export class Search {
  cause: SearchCause;
  readonly #parts: SearchParts;
  #attempt: HubConnection | undefined;
  /** The attempt asked to be registered. */
  #asked = false;
  #isLast = false;
  #cancelWait: () => void;

  constructor(cause: SearchCause, firstInMs: number, parts: SearchParts) {
    this.cause = cause;
    this.#parts = parts;
    this.#cancelWait = parts.clock.after(firstInMs, () => this.#connect());
  }

  /** Nothing more is tried: what is under way is the last attempt. */
  get isLast(): boolean {
    return this.#isLast;
  }

  /**
   * Nothing more is tried. A hub that was asked already may yet take the node, and is heard to the end: its registration
   * would supersede this session, and nobody would hold it. False where there is none, and the search is over.
   */
  finish(): boolean {
    this.#isLast = this.#attempt !== undefined && this.#asked;
    if (!this.#isLast) this.end();
    return this.#isLast;
  }

  /** Goes on, after the last attempt too. */
  resume(cause: SearchCause): void {
    this.cause = cause;
    this.#isLast = false;
  }

  /** Gives up an attempt that is under way. */
  end(): void {
    this.#cancelWait();
    this.#attempt?.abandon();
    this.#attempt = undefined;
  }

  /** The session ended: the attempt that is under way, if any, becomes the agent's own. */
  handOver(): HubConnection | undefined {
    const attempt = this.#attempt;
    this.#attempt = undefined;
    this.#cancelWait();
    return attempt;
  }

  #connect(): void {
    const { connect, register, found } = this.#parts;
    const connection = connect({
      opened: () => {
        this.#asked = true;
        register(connection);
      },
      message: (message) => {
        if (message.type === 'registered') {
          this.#attempt = undefined;
          found(connection, message);
        } else if (message.type === 'error') {
          connection.abandon();
          this.#failed({ kind: 'rejected', code: message.code, message: message.message });
        }
      },
      pong: () => {},
      ended: (how) => this.#failed(how),
    });
    this.#attempt = connection;
    this.#asked = false;
  }

  #failed(how: Ended): void {
    this.#attempt = undefined;
    const { clock, delayAfter, over } = this.#parts;
    if (this.#isLast) {
      over();
      return;
    }
    const delayMs = delayAfter(how);
    if (delayMs !== null) this.#cancelWait = clock.after(delayMs, () => this.#connect());
  }
}
