import { type Logger, pino } from 'pino';

/** JSON lines on stdout, for machines; on a terminal the same lines for people. */
export async function createLogger(level: string): Promise<Logger> {
  if (!process.stdout.isTTY) return pino({ level, base: null });
  const { default: pretty } = await import('pino-pretty');
  // Written at once, so that the last lines before an exit are not lost.
  return pino({ level, base: null }, pretty({ sync: true, translateTime: 'SYS:HH:MM:ss.l' }));
}
