import { statSync } from 'node:fs';
import type { Log } from '../server/runtime/log.ts';

const FILES = ['AGENT_TOKENS_FILE', 'DASHBOARD_TOKENS_FILE', 'ADMIN_TOKENS_FILE'] as const;

/** Warns of files with secrets that every user of this machine may read. */
export function warnOfOpenFiles(env: Readonly<Record<string, string | undefined>>, log: Log): void {
  for (const setting of FILES) {
    const path = env[setting];
    if (path === undefined || path === '') continue;
    const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
    if ((mode & 0o004) === 0) continue;
    log.warn(
      { setting, path, mode: (mode & 0o777).toString(8) },
      'Every user of this machine can read these tokens; chmod 640 or 600 helps',
    );
  }
}
