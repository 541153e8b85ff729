import { Command } from 'commander';
import { agentCommand } from '../../cli/agent.ts';
import { UsageError } from '../../cli/usage-error.ts';

/** `rollcall` with its one command, as the real entry point puts it together. */
const program = new Command('rollcall').version('9.9.9').exitOverride().addCommand(agentCommand());

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
