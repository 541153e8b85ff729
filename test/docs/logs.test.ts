import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { read } from './pages.ts';

const source = ['server', 'agent', 'cli']
  .flatMap((folder) =>
    readdirSync(folder, { encoding: 'utf8', recursive: true }).map((file) => `${folder}/${file}`),
  )
  .filter((file) => file.endsWith('.ts'))
  .map((file) => readFileSync(file, 'utf8'))
  .join('\n');

/** What the source puts a value behind. */
const beginnings = ['Node missed heartbeat, marking as ', 'Session ended: ', 'Too many missed heartbeats ('];

it('the log lines of the operations page are those of the code', () => {
  const section = read('docs/OPERATIONS.md').split('\n## Logs\n')[1]?.split('\n## ')[0] ?? '';
  const rows = section.matchAll(/^\| (?:debug|info|warn) \| (.+?) \|/gm);
  const messages = Array.from(rows, ([, cell = '']) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text),
  );
  expect(messages.length).toBeGreaterThan(40);
  for (const message of messages.flat()) {
    expect(source).toContain(beginnings.find((beginning) => message.startsWith(beginning)) ?? message);
  }
});

it('every warning of hubs and agents stands on the operations page', () => {
  const page = read('docs/OPERATIONS.md');
  const calls = source.matchAll(/\.warn\(\s*(?:\{[^;]*?\}|[\w.]+),\s*['"`]([A-Z][^'"`$]{8,})/g);
  const warnings = Array.from(calls, ([, text = '']) => text);
  expect(warnings.length).toBeGreaterThan(25);
  for (const warning of warnings) expect(page).toContain(warning);
});
