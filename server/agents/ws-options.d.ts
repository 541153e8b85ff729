import 'ws';

declare module 'ws' {
  /** Options of ws 8.23 that its published types do not know yet. */
  interface ServerOptions {
    /** How long a closing socket waits for the peer's Close frame, in milliseconds. */
    closeTimeout?: number;
    /** Pongs that may wait to be written before ws ends the socket, without a close code. */
    maxPendingAutoPongs?: number;
    /** Fragments that one message may come in. */
    maxFragments?: number;
  }
}
