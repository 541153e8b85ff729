import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const page = readFileSync('docs/ARCHITECTURE.md', 'utf8');

/** The text under a heading, up to the next one of its rank. */
function section(heading: string): string {
  const [, text = ''] = page.split(`${heading}\n`);
  const rank = heading.slice(0, heading.indexOf(' ') + 1);
  return text.split(`\n${rank}`)[0] ?? '';
}

const filesIn = (text: string): string[] =>
  Array.from(
    text.matchAll(/`((?:server|agent|shared|client|dashboard|cli|simulate|bench|test)\/[\w./-]+)`/g),
    ([, file = '']) => file,
  );

describe('docs/ARCHITECTURE.md', () => {
  it('names files and folders that are there', () => {
    const files = filesIn(page);
    expect(files.length).toBeGreaterThan(40);
    expect(files.filter((file) => !existsSync(file))).toEqual([]);
  });

  it.each([
    ['### A ping reaches Redis', 8],
    ['### A registration reaches the dashboards', 14],
    ['### A silence becomes `unreachable`', 7],
    ['### The store lost data', 8],
  ])('%s: a walk of at most %i numbered files', (heading, most) => {
    const steps = section(heading).match(/\b\d+\. (?=`)/g) ?? [];
    expect(steps.length).toBeGreaterThan(3);
    expect(steps.length).toBeLessThanOrEqual(most);
  });

  it('has a glossary of at most 30 words', () => {
    const words = section('## Glossary').match(/^\| [a-z]+ \|/gm) ?? [];
    expect(words.length).toBeGreaterThan(20);
    expect(words.length).toBeLessThanOrEqual(31);
  });
});
