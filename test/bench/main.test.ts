import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROWS } from '../../bench/rows/index.ts';

const bench = (...args: string[]) =>
  spawnSync(process.execPath, ['--import', 'tsx', 'bench/main.ts', ...args], { encoding: 'utf8' });

describe('npm run bench', () => {
  it('lists every row in its help', () => {
    const { status, stdout } = bench('--help');
    expect(status).toBe(0);
    for (const { name, title } of ROWS) expect(stdout).toMatch(new RegExp(`^  ${name} +${title}`, 'm'));
  });

  it('refuses a row that is not there with one line and exit 2', () => {
    const { status, stdout, stderr } = bench('--only', 'memory,nonsense');
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^bench: there is no row "nonsense"; there are memory, .*\n$/);
  });

  it('refuses a flag that it does not know with exit 2', () => {
    const { status, stderr } = bench('--fast');
    expect(status).toBe(2);
    expect(stderr).toContain("unknown option '--fast'");
  });

  it('makes no page of a run that is not there, or is of another version', () => {
    const dir = mkdtempSync(join(tmpdir(), 'bench-'));
    expect(bench('--docs', '--out', dir)).toMatchObject({
      status: 2,
      stderr: `bench: ${join(dir, 'run.json')} is not there: npm run bench makes it\n`,
    });
    writeFileSync(join(dir, 'run.json'), '{"format":0}');
    expect(bench('--docs', '--out', dir)).toMatchObject({
      status: 2,
      stderr: `bench: ${join(dir, 'run.json')} is of another version of the bench\n`,
    });
  });
});
