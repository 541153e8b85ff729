/** The part of pino that the hub uses. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** A log whose lines all carry these fields; pino writes them down once. */
  child?(bound: Readonly<Record<string, unknown>>): Log;
}

/** A log without output. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child() {
    return this;
  },
};

/** A log whose lines all carry these fields. */
export function logWith(log: Log, bound: Readonly<Record<string, unknown>>): Log {
  if (log.child) return log.child(bound);
  return {
    debug: (fields, message) => log.debug({ ...bound, ...fields }, message),
    info: (fields, message) => log.info({ ...bound, ...fields }, message),
    warn: (fields, message) => log.warn({ ...bound, ...fields }, message),
    error: (fields, message) => log.error({ ...bound, ...fields }, message),
  };
}

/** Enough of a session's id to distinguish sessions in a log, not enough to act for one. */
export function shortSession(session: string): string {
  return session.slice(0, 8);
}
