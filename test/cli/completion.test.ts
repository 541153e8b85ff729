import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { budget } from '../support/budget.ts';
import { Programs, ROLLCALL } from '../support/program.ts';

const programs = new Programs();
/** Has a `rollcall`, which the scripts ask for the names of nodes. */
const folder = mkdtempSync(join(tmpdir(), 'rollcall-completion-'));
let env: Record<string, string> = {};

beforeAll(async () => {
  const program = resolve(ROLLCALL);
  writeFileSync(join(folder, 'rollcall'), `#!/bin/sh\nexec ${process.execPath} ${program} "$@"\n`, {
    mode: 0o755,
  });
  const hub = programs.run(['hub', '--port', '0']);
  const [url = ''] = await hub.says(/http:\/\/127\.0\.0\.1:\d+/);
  env = { PATH: `${folder}:${process.env.PATH}`, HOME: folder, TERM: 'dumb', ROLLCALL_URL: url };
  for (const hostname of ['web-1', 'web-2', 'db-1', '$(touch evil)']) {
    const node = { nodeId: `id-${hostname.length}-${hostname.replaceAll(/\W/g, '')}`, hostname };
    const { status } = await fetch(`${url}/api/v1/nodes`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ node }),
    });
    expect(status).toBe(201);
  }
});
afterAll(async () => {
  await programs.end();
  rmSync(folder, { recursive: true });
});

const scriptOf = async (shell: string): Promise<string> => {
  const { code, stdout } = await programs.finish(['completion', shell]);
  expect(code).toBe(0);
  return stdout;
};

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

test('[CLI-17] completion prints a script that completes commands, flags and values, in bash', async () => {
  const script = await scriptOf('bash');
  const complete = (...words: string[]): string[] =>
    linesOf(
      execFileSync(
        'bash',
        [
          '--norc',
          '-c',
          `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); COMP_LINE="$*"; _rollcall; printf '%s\\n' "\${COMPREPLY[@]}"`,
          'bash',
          'rollcall',
          ...words,
        ],
        { env, cwd: folder },
      ).toString(),
    );
  expect(complete('')).toEqual(expect.arrayContaining(['up', 'hub', 'agent', 'nodes', 'completion']));
  expect(complete('no')).toEqual(['nodes']);
  expect(complete('nodes', '')).not.toContain('names');
  expect(complete('nodes', 'l')).toEqual(['ls']);
  expect(complete('nodes', 'ls', '--st')).toEqual(['--status']);
  expect(complete('nodes', 'ls', '--status', 'off')).toEqual(['offline']);
  expect(complete('nodes', 'ls', '--output', '')).toEqual(['wide', 'json', 'yaml']);
  expect(complete('nodes', 'ls', '--sort', 'k')).toEqual(['kind']);
  expect(complete('nodes', 'ls', '--limit', '')).toEqual([]);
  expect(complete('completion', 'f')).toEqual(['fish']);
  expect(complete('agent', '--config', 'roll')).toEqual(['rollcall']);
  expect(complete('agent', '--log-level', '')).not.toContain('trace');
  await patient(() => expect(complete('nodes', 'get', 'w')).toEqual(['web-1', 'web-2']));
  await patient(() => expect(complete('nodes', 'rm', 'web-1', 'd')).toEqual(['db-1']));
  await patient(() => expect(complete('nodes', 'events', '--node', 'd')).toEqual(['db-1']));
  expect(complete('nodes', 'wait', 'web-1', '--for', 're')).toEqual(['removed']);
  expect(complete('nodes', 'get', '--y')).toEqual(['--yaml']);
  expect(complete('nodes', 'get', '--hub', 'http://127.0.0.1:9', 'w')).toEqual([]);
  // A name that a shell would run is not offered, nor run.
  await patient(() =>
    expect(complete('nodes', 'get', '').sort()).toEqual(['db-1', 'id-13-touchevil', 'web-1', 'web-2']),
  );
  expect(linesOf(execFileSync('ls', { cwd: folder }).toString())).toEqual(['rollcall']);
});

/** Names come within a second, or not at all on a busy machine. */
const patient = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: budget(20_000) });

const installed = (shell: string): boolean => spawnSync(shell, ['--version']).status === 0;

test('[CLI-17] so for zsh', async ({ skip }) => {
  const script = await scriptOf('zsh');
  expect(script).toContain('bashcompinit');
  if (!installed('zsh')) skip('zsh is not installed');
  // As zsh's `_bash_complete` calls it; the menu itself, which leaves out what begins otherwise, needs a terminal.
  const offered = (...words: string[]): string[] =>
    linesOf(
      execFileSync(
        'zsh',
        [
          '-f',
          '-c',
          `${script}\nemulate sh; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); COMP_LINE="$*"; _rollcall; printf '%s\\n' "\${COMPREPLY[@]}"`,
          'zsh',
          'rollcall',
          ...words,
        ],
        { env, cwd: folder },
      ).toString(),
    ).filter((one) => one.startsWith(words.at(-1) ?? ''));
  expect(offered('no')).toEqual(['nodes']);
  expect(offered('nodes', 'ls', '--status', 'off')).toEqual(['offline']);
  await patient(() => expect(offered('nodes', 'get', 'w')).toEqual(['web-1', 'web-2']));
});

test('[CLI-17] so for fish; another shell is wrong usage', async ({ skip }) => {
  const script = await scriptOf('fish');
  expect(script).toMatch(
    /^complete -c rollcall -n '__fish_seen_subcommand_from nodes; and __fish_seen_subcommand_from ls' -l status -x -a 'online /m,
  );
  expect((await programs.finish(['completion', 'tcsh'])).code).toBe(2);
  if (!installed('fish')) skip('fish is not installed');
  const complete = (line: string): string[] =>
    linesOf(
      execFileSync('fish', ['-N', '-c', `${script}\ncomplete -C '${line}'`], { env, cwd: folder }).toString(),
    ).map((one) => one.split('\t')[0] ?? '');
  expect(complete('rollcall no')).toEqual(['nodes']);
  expect(complete('rollcall nodes l')).toEqual(['ls']);
  expect(complete('rollcall nodes ls --status off')).toEqual(['offline']);
  await patient(() => expect(complete('rollcall nodes get w')).toEqual(['web-1', 'web-2']));
  await patient(() => expect(complete('rollcall nodes events --node d')).toEqual(['db-1']));
  expect(complete('rollcall nodes get --hub http://127.0.0.1:9 w')).toEqual([]);
});
