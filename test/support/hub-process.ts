import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { budget } from './budget.ts';
import { leash } from './leash.ts';
import { ROLLCALL } from './program.ts';

const logLine = z.looseObject({ msg: z.string() });
export type LogLine = z.output<typeof logLine>;

/** A hub in a process of its own, as an operator runs it. */
export interface HubProcess {
  readonly url: string;
  readonly agentUrl: string;
  readonly pid: number;
  /** Every log line so far. */
  readonly log: readonly LogLine[];
  /** SIGTERM; resolves with the exit code, or with null where it did not end within 8 quiet seconds and was killed. */
  terminate(): Promise<number | null>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** SIGSTOP and SIGCONT. */
  pause(): void;
  resume(): void;
}

/** How long a hub may take to listen. */
const START_WITHIN_MS = 30_000;

/** A hub that was told to stop promises to be gone by then. */
const END_WITHIN_MS = 8_000;

/** Starts `rollcall hub` with these settings, on any free port where none is given. */
export async function startHubProcess(settings: Readonly<Record<string, string>>): Promise<HubProcess> {
  const env = { PATH: process.env.PATH ?? '', PORT: '0', LOG_LEVEL: 'debug', ...settings };
  const child = spawn(process.execPath, [ROLLCALL, 'hub'], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  leash(child);
  const log: LogLine[] = [];
  const errors: string[] = [];
  child.stderr.on('data', (data: Buffer) => errors.push(data.toString()));
  const url = await new Promise<string>((resolve, reject) => {
    const tooLate = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error('the hub does not start'));
    }, budget(START_WITHIN_MS));
    child.once('exit', (code) => {
      reject(new Error(`the hub ended with ${code}: ${errors.join('')}`));
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      const read = logLine.parse(JSON.parse(line));
      log.push(read);
      if (read.msg !== 'Hub listening' || typeof read.url !== 'string') return;
      clearTimeout(tooLate);
      resolve(read.url);
    });
  });
  const ended = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
    return child.exitCode;
  };
  return {
    url,
    agentUrl: `${url.replace('http', 'ws')}/agent`,
    pid: child.pid ?? 0,
    log,
    terminate: async () => {
      const tooLate = setTimeout(() => child.kill('SIGKILL'), budget(END_WITHIN_MS));
      return ended('SIGTERM').finally(() => clearTimeout(tooLate));
    },
    kill: async () => void (await ended('SIGKILL')),
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
  };
}
