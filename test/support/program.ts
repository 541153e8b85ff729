import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { leash } from './leash.ts';

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** What a hub and an agent say, and truly, where the machine lets them wait: no test may call it a fault. */
const SLOWED =
  /^\{"level":40,.*"msg":"(?:This hub stalled|Heartbeat missed|Too many missed heartbeats|Lost the hub|Cannot register, will retry|The stats provider is too slow|The clock jumped).*\n/gm;

/** What `rollcall` runs: built before the tests are (build.ts). */
export const ROLLCALL = 'dist/cli/main.js';

/** `rollcall …` in a process of its own, which ends with this one at the latest. */
export class Program {
  readonly child: ChildProcess;
  readonly exit: Promise<Exit>;
  stdout = '';
  stderr = '';
  #ended = false;
  #wake = (): void => {};

  /** Nothing of this process' environment but its path reaches it. Its stdout is kept here, or goes into an open file. */
  constructor(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    stdout: 'pipe' | number = 'pipe',
  ) {
    this.child = spawn(process.execPath, [ROLLCALL, ...args], {
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', stdout, 'pipe'],
    });
    leash(this.child);
    this.child.stdout?.on('data', (data: Buffer) => {
      this.stdout += data.toString();
      this.#wake();
    });
    this.child.stderr?.on('data', (data: Buffer) => {
      this.stderr += data.toString();
      this.#wake();
    });
    this.exit = once(this.child, 'close').then(() => {
      this.#ended = true;
      this.#wake();
      return { code: this.child.exitCode, signal: this.child.signalCode };
    });
  }

  /** Waits until stdout matches, and returns the match. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout);
      if (match) return match;
      if (this.#ended) throw new Error(`it ended without ${pattern}: ${this.stdout}${this.stderr}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Stdout so far, without the warnings that a busy machine makes true. */
  get words(): string {
    return this.stdout.replaceAll(SLOWED, '');
  }

  /** Stdout so far, each line as JSON. */
  get lines(): Array<Record<string, unknown>> {
    return this.stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line): Record<string, unknown> => JSON.parse(line));
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** Ends it as the kernel ends one, and waits until it is gone. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exit;
  }
}

/** The programs of a test file; `end` belongs into its `afterEach`. */
export class Programs {
  readonly #started: Program[] = [];

  run(args: readonly string[], env?: Readonly<Record<string, string>>, stdout?: number): Program {
    const program = new Program(args, env, stdout);
    this.#started.push(program);
    return program;
  }

  /** Runs one to its end. */
  async finish(
    args: readonly string[],
    env?: Readonly<Record<string, string>>,
  ): Promise<Exit & Pick<Program, 'stdout' | 'stderr'>> {
    const program = this.run(args, env);
    const exit = await program.exit;
    return { ...exit, stdout: program.stdout, stderr: program.stderr };
  }

  async end(): Promise<void> {
    const started = this.#started.splice(0);
    await Promise.all(started.map((program) => program.kill()));
  }
}
