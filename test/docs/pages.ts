import { readFileSync } from 'node:fs';

/** Every page of documentation. */
export const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'SECURITY.md',
  'docs/AGENT.md',
  'docs/ARCHITECTURE.md',
  'docs/PROTOCOL.md',
  'docs/SETTINGS.md',
  'docs/OPERATIONS.md',
  'docs/SCALING.md',
  'docs/CLIENT.md',
  'docs/HTTP.md',
  'docs/MIGRATING.md',
  'docs/TROUBLESHOOTING.md',
] as const;

export const read = (page: string): string => readFileSync(page, 'utf8');
