/**
 * The reader of our output may go before we are done, as `| head` does, or have no room. That ends no command with
 * a trace, and breaks off nothing that it does: what only prints ends by itself, or by `readerGone`.
 */
export function outliveOutput(): void {
  // Nobody is left to be told.
  process.stderr.on('error', () => {});
  let failed = false;
  process.stdout.on('error', (error) => {
    if (failed || isBrokenPipe(error)) return;
    failed = true;
    process.stderr.write(`rollcall: cannot write: ${error.message}\n`);
  });
  process.on('exit', (code) => {
    if (failed && code === 0) process.exitCode = 1;
  });
}

/** Resolves when nobody reads our output any more, or it cannot be written. */
export function readerGone(): Promise<void> {
  return new Promise((resolve) => process.stdout.once('error', () => resolve()));
}

/** The reader of a pipe has closed it, and none will come. */
export function isBrokenPipe(error: Error): boolean {
  return 'code' in error && error.code === 'EPIPE';
}
