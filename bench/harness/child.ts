import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { pinned } from './processes.ts';

/** Every process of Node that is measured gets the same young generation, so that none wins by its collector. */
const NODE_FLAGS = ['--max-semi-space-size=16'] as const;

const READY_WITHIN_MS = 60_000;
/** What `answerOrders` sends. */
const messageSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ready'), ready: z.unknown() }),
  z.object({ kind: z.literal('answer'), id: z.number(), answer: z.unknown() }),
  z.object({ kind: z.literal('error'), id: z.number(), error: z.string() }),
]);

interface Waiting {
  settle(outcome: { answer: unknown } | { error: Error }): void;
}

const running = new Set<ChildProcess>();

/** Ends every process that the bench still has, by its id: for the end of the bench, however it comes. */
export function killChildren(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** Keeps a process that was started elsewhere among those that the bench ends. */
export function ownChild(child: ChildProcess): void {
  running.add(child);
  child.once('exit', () => running.delete(child));
  child.once('error', () => running.delete(child));
}

/** A process of the bench: told by messages what to do, each answered within a deadline. */
export class Child {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #stderr: string[] = [];
  #next = 1;
  #ready: Waiting | undefined;

  private constructor(
    readonly name: string,
    child: ChildProcess,
  ) {
    this.#child = child;
    ownChild(child);
    child.stderr?.on('data', (data: Buffer) => {
      this.#stderr.push(data.toString());
      if (this.#stderr.length > 50) this.#stderr.shift();
    });
    child.on('message', (message) => this.#received(message));
    child.on('error', (error) => this.#lost(error.message));
    child.once('exit', (code, signal) => this.#lost(`it ended with ${signal ?? code}`));
  }

  /** Starts a file of the bench on a core and waits until it says that it is ready. */
  static async start(
    file: URL,
    { name, core, env = {} }: { name: string; core: number; env?: Readonly<Record<string, string>> },
  ): Promise<{ child: Child; ready: unknown }> {
    const [program = '', ...args] = pinned(core, [
      process.execPath,
      ...NODE_FLAGS,
      '--expose-gc',
      '--import',
      'tsx',
      fileURLToPath(file),
    ]);
    const spawned = spawn(program, args, {
      env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', ...env },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    const child = new Child(name, spawned);
    try {
      const ready = await child.#within('start', READY_WITHIN_MS, (waiting) => {
        child.#ready = waiting;
      });
      return { child, ready };
    } catch (error) {
      await child.kill();
      throw error;
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Asks for something. Throws where the process says that it failed, ends, or does not answer in time. */
  async ask<S extends z.ZodType>(
    order: Readonly<{ do: string } & Record<string, unknown>>,
    schema: S,
    withinMs = 30_000,
  ): Promise<z.output<S>> {
    const id = this.#next;
    this.#next += 1;
    const answer = await this.#within(`"${order.do}"`, withinMs, (waiting) => {
      this.#waiting.set(id, waiting);
      this.#child.send({ id, order }, (error) => {
        if (error) waiting.settle({ error });
      });
    }).finally(() => this.#waiting.delete(id));
    return schema.parse(answer);
  }

  /** SIGKILL, and waits until it is gone. */
  async kill(): Promise<void> {
    if (!this.alive || this.#child.pid === undefined) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }

  #within(what: string, withinMs: number, begin: (waiting: Waiting) => void): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`${this.name} did not ${what} within ${withinMs / 1_000} s`)),
        withinMs,
      );
      const settle: Waiting['settle'] = (outcome) => {
        clearTimeout(late);
        if ('error' in outcome) reject(outcome.error);
        else resolve(outcome.answer);
      };
      if (this.alive) begin({ settle });
      else settle({ error: new Error(`${this.name} is gone: ${this.#lastWords()}`) });
    });
  }

  #received(raw: unknown): void {
    const { success, data: message } = messageSchema.safeParse(raw);
    if (!success) return;
    if (message.kind === 'ready') this.#ready?.settle({ answer: message.ready });
    else if (message.kind === 'answer') this.#waiting.get(message.id)?.settle({ answer: message.answer });
    else this.#waiting.get(message.id)?.settle({ error: new Error(`${this.name}: ${message.error}`) });
  }

  #lost(why: string): void {
    const error = new Error(`${this.name} is gone, ${why} ${this.#lastWords()}`.trim());
    this.#ready?.settle({ error });
    for (const waiting of this.#waiting.values()) waiting.settle({ error });
    this.#waiting.clear();
  }

  #lastWords(): string {
    return this.#stderr.join('').trim().slice(-600);
  }
}
