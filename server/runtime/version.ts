import { readFileSync } from 'node:fs';

/**
 * The manifest stands two folders up from the sources and three from the built files. No schema: `--version` is quick.
 */
function readVersion(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const manifest: unknown = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
      if (typeof manifest === 'object' && manifest !== null && 'version' in manifest)
        return String(manifest.version);
    } catch {}
  }
  return 'unknown';
}

/** The version of this build. */
export const VERSION = readVersion();
