import type { AgentClock } from './clock.ts';
import type { AgentLogger } from './log.ts';

const MINUTE_MS = 60_000;
/** Lines of one wording a minute. Heartbeats have one line each, at debug level. */
const MOST_LINES = { error: 30, warn: 30, info: 30, debug: 3_000 } as const;
/** Wordings that are told apart: they are the agent's own, not a hub's. */
const MOST_WORDINGS = 200;

type Level = keyof typeof MOST_LINES;

/**
 * A logger that writes a line of one wording only so often a minute, and then how many it left out: whatever a hub does,
 * an agent's log must not fill the disk of its machine.
 */
export function limitedLog(logger: AgentLogger, clock: AgentClock): AgentLogger {
  const written = new Map<string, { sinceMs: number; lines: number }>();
  const write =
    (level: Level) =>
    (fields: object, message: string): void => {
      const nowMs = clock.nowMs();
      const before = written.get(message);
      const fresh = !before || nowMs - before.sinceMs >= MINUTE_MS;
      const { lines } = before ?? { lines: 0 };
      if (!fresh) {
        before.lines += 1;
        if (lines < MOST_LINES[level]) logger[level](fields, message);
        else if (lines === MOST_LINES[level])
          logger[level]({}, `${message} (more of these within the minute are left out)`);
        return;
      }
      if (written.size >= MOST_WORDINGS) written.clear();
      written.set(message, { sinceMs: nowMs, lines: 1 });
      const leftOut = lines - MOST_LINES[level] - 1;
      logger[level](leftOut > 0 ? { ...fields, leftOut } : fields, message);
    };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}
