import { readFileSync } from 'node:fs';
import { z } from 'zod';

const manifest = z.object({ version: z.string() });

/** The manifest stands one folder up from the sources and two from the built files. */
function readVersion(): string {
  for (const path of ['../package.json', '../../package.json']) {
    try {
      return manifest.parse(JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'))).version;
    } catch {}
  }
  return 'unknown';
}

/** The version of this build. */
export const VERSION = readVersion();
