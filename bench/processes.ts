import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { LoadOrder } from './load.ts';

const hasTaskset = spawnSync('taskset', ['--version']).status === 0;

/** Pins a process to one core where that can be done; else the numbers say less, and the report says so. */
export function pin(pid: number, core: number): boolean {
  return hasTaskset && spawnSync('taskset', ['-a', '-c', '-p', String(core), String(pid)]).status === 0;
}

/** CPU time of a process so far, in microseconds (user and system, /proc/PID/stat; a tick is 10 ms). */
export function cpuMicros(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

const answerSchema = z.object({ answer: z.number(), error: z.string().optional() });
const portSchema = z.object({ port: z.number() });

function start(file: string, args: string[], env: Record<string, string>, core: number): ChildProcess {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
    execArgv: ['--import', 'tsx', '--max-semi-space-size=16'],
    env: { ...process.env, ...env },
  });
  pin(child.pid ?? 0, core);
  return child;
}

async function ask(child: ChildProcess, question: object): Promise<number> {
  child.send(question);
  const [message] = await once(child, 'message');
  const { answer, error } = answerSchema.parse(message);
  if (error) throw new Error(error);
  return answer;
}

/** A server under load. */
export class ServerProcess {
  static async start(
    kind: 'bare' | 'hub',
    env: Record<string, string>,
    core: number,
  ): Promise<ServerProcess> {
    const child = start('./server.ts', [kind], env, core);
    const [message] = await once(child, 'message');
    return new ServerProcess(child, portSchema.parse(message).port);
  }

  private constructor(
    readonly child: ChildProcess,
    readonly port: number,
  ) {}

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Resident bytes after a forced garbage collection. */
  memory(): Promise<number> {
    return ask(this.child, { do: 'memory' });
  }

  async end(): Promise<void> {
    const gone = once(this.child, 'exit');
    this.child.disconnect();
    await gone;
  }
}

/** A process that plays agents. */
export class LoadProcess {
  readonly #child: ChildProcess;

  constructor(core: number) {
    this.#child = start('./load.ts', [], {}, core);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  ask(order: LoadOrder): Promise<number> {
    return ask(this.#child, order);
  }

  async end(): Promise<void> {
    const gone = once(this.#child, 'exit');
    await this.ask({ do: 'end' });
    this.#child.disconnect();
    await gone;
  }
}
