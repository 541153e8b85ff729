import { readFileSync } from 'node:fs';

/** How many files this process may open (`ulimit -n`); undefined where the system does not say, or sets no limit. */
export function openFileLimit(): number | undefined {
  try {
    const soft = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    // Not Linux.
    return undefined;
  }
}
