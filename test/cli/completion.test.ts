import { execFileSync } from 'node:child_process';
import { afterAll, expect, test } from 'vitest';
import { Programs } from '../support/program.ts';

const programs = new Programs();
afterAll(() => programs.end());

test('[CLI-17] completion prints a script that completes commands, flags and values, in bash', async () => {
  const { code, stdout: script } = await programs.finish(['completion', 'bash']);
  expect(code).toBe(0);
  const complete = (...words: string[]): string[] =>
    execFileSync('bash', [
      '--norc',
      '-c',
      `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _rollcall; printf '%s\\n' "\${COMPREPLY[@]}"`,
      'bash',
      'rollcall',
      ...words,
    ])
      .toString()
      .split('\n')
      .filter((word) => word !== '');
  expect(complete('')).toEqual(expect.arrayContaining(['up', 'hub', 'agent', 'nodes', 'completion']));
  expect(complete('no')).toEqual(['nodes']);
  expect(complete('nodes', 'l')).toEqual(['ls']);
  expect(complete('nodes', 'ls', '--st')).toEqual(['--status']);
  expect(complete('nodes', 'ls', '--status', 'off')).toEqual(['offline']);
  expect(complete('nodes', 'ls', '--output', '')).toEqual(['wide', 'json', 'yaml']);
  expect(complete('completion', 'f')).toEqual(['fish']);
});

test('[CLI-17] so for zsh and fish; another shell is wrong usage', async () => {
  expect((await programs.finish(['completion', 'zsh'])).stdout).toMatch(/^autoload -U \+X bashcompinit/);
  expect((await programs.finish(['completion', 'fish'])).stdout).toMatch(
    /^complete -c rollcall -n '__fish_seen_subcommand_from nodes; and __fish_seen_subcommand_from ls' -l status -x -a 'online /m,
  );
  expect((await programs.finish(['completion', 'tcsh'])).code).toBe(2);
});
