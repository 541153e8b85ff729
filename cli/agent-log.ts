import { type Logger, pino } from 'pino';

/** JSON lines on stdout, for machines; on a terminal the same lines for people. */
export async function createLogger(level: string): Promise<Logger> {
  if (!process.stdout.isTTY) return pino({ level, base: null }, linesOfATurn());
  const { default: pretty } = await import('pino-pretty');
  // Written at once, so that the last lines before an exit are not lost.
  return pino({ level, base: null }, pretty({ sync: true, translateTime: 'SYS:HH:MM:ss.l' }));
}

/** The lines of one turn go out in one write, before the next turn or the exit: a storm logs thousands. */
function linesOfATurn(): { write(line: string): void } {
  const stdout = pino.destination({ dest: 1, sync: true });
  let waiting = '';
  const flush = (): void => {
    if (waiting !== '') stdout.write(waiting);
    waiting = '';
  };
  process.on('exit', flush);
  return {
    write(line) {
      if (waiting === '') setImmediate(flush);
      waiting += line;
    },
  };
}
