import { type Logger, pino } from 'pino';
import { isBrokenPipe } from './lost-output.ts';

/** JSON lines on stdout, for machines; on a terminal the same lines for people. */
export async function createLogger(level: string): Promise<Logger> {
  if (!process.stdout.isTTY) return pino({ level, base: null }, linesOfATurn());
  const { default: pretty } = await import('pino-pretty');
  // Written at once, so that the last lines before an exit are not lost.
  return pino({ level, base: null }, pretty({ sync: true, translateTime: 'SYS:HH:MM:ss.l' }));
}

/** More than the lines of one turn in a storm, and as much as waits for a reader that stands still; what comes then is dropped. */
const MOST_WAITING_BYTES = 16 * 1024 * 1024;

/** How soon is tried again to write what could not be written. */
const TRY_AGAIN_MS = 500;

/**
 * The lines of one turn go out in one write, before the next turn or the exit: a storm logs thousands. A hub is
 * worth more than its log: it goes on where nobody reads that, the reader stands still, or the disk is full.
 */
function linesOfATurn(): { write(line: string): void } {
  // Without `retryEAGAIN` this process would stand still with its reader.
  const limits = { maxLength: MOST_WAITING_BYTES, retryEAGAIN: () => false };
  const stdout = pino.destination({ dest: 1, sync: true, ...limits });
  let waiting = '';
  let ended = false;
  let triesAgain = false;
  const flush = (): void => {
    if (!ended) stdout.write(waiting);
    waiting = '';
  };
  stdout.on('error', (error: Error) => {
    ended = isBrokenPipe(error);
    if (ended || triesAgain) return;
    triesAgain = true;
    setTimeout(() => {
      triesAgain = false;
      flush();
    }, TRY_AGAIN_MS).unref();
  });
  process.on('exit', flush);
  return {
    write(line) {
      if (waiting === '') setImmediate(flush);
      waiting += line;
    },
  };
}
