#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { VERSION } from '../server/runtime/version.ts';
import { printable, printableLines } from '../shared/text.ts';
import { CommandFailure } from './api/failure.ts';
import { COMMANDS } from './commands.ts';
import { outliveOutput } from './lost-output.ts';
import { UsageError } from './usage-error.ts';

const HELP_TELLS_MORE = '(--help tells more)';
const program = new Command('rollcall')
  .description('A realtime fleet hub: agents hold one WebSocket each, dashboards hear every change.')
  .version(VERSION)
  .showHelpAfterError(HELP_TELLS_MORE);

outliveOutput();
try {
  // Only what is asked for is loaded: the whole program takes ten times as long.
  const asked = process.argv.slice(2).find((argument) => !argument.startsWith('-'));
  for (const { name, description, load } of COMMANDS) {
    const isAsked = name === asked || (asked === 'help' && process.argv.includes(name));
    program.addCommand(isAsked ? await load() : new Command(name).description(description));
  }
  for (const command of [program, ...program.commands]) {
    command.exitOverride();
    for (const one of [command, ...command.commands]) one.showHelpAfterError(HELP_TELLS_MORE);
  }
  await program.parseAsync();
  process.exitCode ??= 0;
} catch (error) {
  process.exitCode = fail(error);
}

/** Says what failed, in one line where it can be mended, and returns the exit code. */
function fail(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  process.stderr.write(`rollcall: ${wordsOf(error)}\n`);
  if (error instanceof UsageError) return 2;
  return error instanceof CommandFailure ? error.exitCode : 1;
}

/** It may quote a hub, a file or a node. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return printableLines(String(error));
  // The store's own class would bring the store along.
  if (error instanceof CommandFailure || error.name === 'StoreAwayError') return printable(error.message);
  // Each wrong setting has a line.
  return printableLines(error instanceof UsageError ? error.message : (error.stack ?? error.message));
}
