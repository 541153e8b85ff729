/** The part of pino that the hub uses. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A log that says nothing. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Enough of a session's id to tell two apart in a log, not enough to speak for it. */
export function shortSession(session: string): string {
  return session.slice(0, 8);
}
