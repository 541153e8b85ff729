/** What the agent needs of a logger; a pino logger is one. Neither tokens nor message bodies are logged. */
export interface AgentLogger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const nothing = (): void => {};

/** Logs nothing: the default of a library. */
export const silentLogger: AgentLogger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** Enough of a session id to tell two sessions apart in a log, too little to speak for one. */
export const shortSession = (session: string): string => session.slice(0, 8);
