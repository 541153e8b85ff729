import { type Logger, type LoggerOptions, pino } from 'pino';
import { printable, printableLines } from '../shared/index.ts';
import { isBrokenPipe } from './lost-output.ts';

/** JSON lines on stdout with ISO 8601 times, for machines; on a terminal the same lines for people. */
export async function createLogger(level: string): Promise<Logger> {
  const children = new Set<Logger>();
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    onChild: (child: Logger) => void children.add(child),
  };
  const log = await makeLogger(options);
  childrenOf.set(log, children);
  return log;
}

/** The children of each logger: a hub has one. They keep a level of their own. */
const childrenOf = new WeakMap<Logger, ReadonlySet<Logger>>();

/** From now on a logger and its children say so much. */
export function setLogLevel(log: Logger, level: string): void {
  for (const one of [log, ...(childrenOf.get(log) ?? [])]) one.level = level;
}

async function makeLogger(options: LoggerOptions): Promise<Logger> {
  if (!process.stdout.isTTY) return pino(options, linesOfATurn());
  const { default: pretty } = await import('pino-pretty');
  // Written at once, so that the last lines before an exit are not lost.
  const stream = pretty({ sync: true, translateTime: 'SYS:HH:MM:ss.l' });
  return pino(options, { write: (line: string) => void stream.write(printableLine(line)) });
}

/**
 * A line whose texts a terminal may show. Pretty prints them as they are, and a hub, an agent or a proxy may have
 * written them. The trace of an error keeps its lines.
 */
export function printableLine(line: string): string {
  const shown = (key: string, value: unknown): unknown => {
    if (typeof value !== 'string') return value;
    return key === 'stack' ? printableLines(value) : printable(value);
  };
  return `${JSON.stringify(JSON.parse(line), shown)}\n`;
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
      // As JSON they are the same, and a terminal that shows the log obeys no control character in them.
      waiting += printableLines(line);
    },
  };
}
