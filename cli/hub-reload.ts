import type { Log } from '../server/runtime/log.ts';
import { type HubSettings, RELOADED_SETTINGS } from '../server/settings.ts';
import { UsageError } from './usage-error.ts';

/** What is read again, and how often each has changed. */
interface Reloading {
  /** Reads the settings as at the start. Throws `UsageError`. */
  read: () => HubSettings;
  /** Takes them up. */
  use: (settings: HubSettings) => void;
  log: Log;
}

/**
 * Reads again what may change while a hub runs: tokens and the log level, where they stand in files. A wrong file
 * changes nothing, and is said.
 */
export function reloader(started: HubSettings, { read, use, log }: Reloading): () => void {
  let current = started;
  return () => {
    try {
      const next = read();
      const changed = differences(current, next);
      use(next);
      current = next;
      if (Object.keys(changed).length === 0) log.info({}, 'Settings read again: nothing changed');
      else log.info({ changed }, 'Settings read again');
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      log.error({ problem: error.message }, 'Settings cannot be read again: those of before stay');
    }
  };
}

/** What is different, without a secret. */
function differences(before: HubSettings, after: HubSettings): Record<string, unknown> {
  const changed: Record<string, unknown> = {};
  for (const name of RELOADED_SETTINGS) {
    const [old, now] = [before[name], after[name]];
    if (Array.isArray(old) && Array.isArray(now)) {
      const key = (entry: unknown): string => JSON.stringify(entry);
      const [was, is] = [new Set(old.map(key)), new Set(now.map(key))];
      const added = [...is].filter((entry) => !was.has(entry)).length;
      const removed = [...was].filter((entry) => !is.has(entry)).length;
      if (added + removed > 0) changed[name] = { added, removed };
    } else if (old !== now) {
      changed[name] = now;
    }
  }
  return changed;
}
