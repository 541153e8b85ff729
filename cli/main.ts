#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { StoreAwayError } from '../server/store/fleet-store.ts';
import { VERSION } from '../server/version.ts';
import { printable, printableLines } from '../shared/index.ts';
import { agentCommand } from './agent.ts';
import { CommandFailure } from './api/failure.ts';
import { hubCommand } from './hub.ts';
import { hubsCommand } from './hubs.ts';
import { outliveOutput } from './lost-output.ts';
import { nodesCommand } from './nodes.ts';
import { simulateCommand } from './simulate.ts';
import { upCommand } from './up.ts';
import { UsageError } from './usage-error.ts';
import { watchCommand } from './watch.ts';

const program = new Command('rollcall')
  .description('A realtime fleet hub: agents hold one WebSocket each, dashboards hear every change.')
  .version(VERSION)
  .showHelpAfterError('(--help tells more)')
  .addCommand(upCommand())
  .addCommand(hubCommand())
  .addCommand(agentCommand())
  .addCommand(watchCommand())
  .addCommand(nodesCommand())
  .addCommand(hubsCommand())
  .addCommand(simulateCommand());

for (const command of [program, ...program.commands]) command.exitOverride();

outliveOutput();
try {
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
  if (error instanceof CommandFailure || error instanceof StoreAwayError) return printable(error.message);
  // Each wrong setting has a line.
  if (error instanceof UsageError) return printableLines(error.message);
  return printableLines(error instanceof Error ? (error.stack ?? error.message) : String(error));
}
