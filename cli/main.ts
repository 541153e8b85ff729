#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { StoreAwayError } from '../server/store/fleet-store.ts';
import { VERSION } from '../server/version.ts';
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
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else if (error instanceof UsageError) {
    process.stderr.write(`rollcall: ${error.message}\n`);
    process.exitCode = 2;
  } else if (error instanceof CommandFailure) {
    process.stderr.write(`rollcall: ${error.message}\n`);
    process.exitCode = error.exitCode;
  } else if (error instanceof StoreAwayError) {
    process.stderr.write(`rollcall: ${error.message}\n`);
    process.exitCode = 1;
  } else {
    process.stderr.write(
      `rollcall: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    process.exitCode = 1;
  }
}
