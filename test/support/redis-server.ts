import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

export interface RedisServerOptions {
  /** Keeps an append-only file, so that a restart with its data loses nothing. */
  appendonly?: boolean;
  /** Where its files are; else a folder of its own, removed at the end. */
  dir?: string;
  /** Else a free one. */
  port?: number;
  replicaOf?: { port: number };
  /** More settings of redis-server, such as `--requirepass secret`. */
  args?: string[];
}

/** A real redis-server on 127.0.0.1, which ends with this process at the latest. */
export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly dir: string;
  readonly pid: number;
  /** One command through redis-cli. */
  cli(...args: string[]): Promise<string>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
  /** SIGKILL: it says goodbye to nobody. */
  kill(): Promise<void>;
  /** SIGSTOP: it accepts connections and answers nothing. */
  pause(): void;
  resume(): void;
  /** SIGKILL, and up again on the same port with what its files hold (the last `SAVE`, or its AOF), or with nothing. */
  restart(how: { keepData: boolean }): Promise<void>;
}

const run = promisify(execFile);

/** The kernel ends the server with us, also where we are killed ourselves. */
const leash = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'SIGKILL'] : [];

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return address.port;
}

async function launch(port: number, dir: string, args: string[]): Promise<ChildProcess> {
  const [program = 'redis-server', ...rest] = [...leash, 'redis-server'];
  const listen = ['--bind', '127.0.0.1', '--port', String(port), '--dir', dir, '--logfile', join(dir, 'log')];
  const child = spawn(program, [...rest, ...listen, '--save', '', '--daemonize', 'no', ...args], {
    stdio: 'ignore',
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  child.once('error', () => running.delete(child));
  for (let tries = 0; tries < 400 && running.has(child); tries += 1) {
    if (/PONG|NOAUTH/.test(await cli(port, ['PING']).catch(() => '')) && running.has(child)) return child;
    await sleep(10);
  }
  await end(child, 'SIGKILL');
  const log = await readFile(join(dir, 'log'), 'utf8').catch(() => '');
  throw new Error(
    `redis-server on port ${port} does not start (scripts/install-redis.sh installs it)\n${log}`,
  );
}

async function end(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (!running.has(child)) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await gone;
}

async function cli(port: number, args: string[]): Promise<string> {
  const { stdout } = await run('redis-cli', ['-p', String(port), ...args], { timeout: 5_000 });
  return stdout.trim();
}

/** Starts a server and waits until it answers. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'rollcall-redis-')));
  const args = [
    ...['--appendonly', options.appendonly ? 'yes' : 'no', '--appendfsync', 'always'],
    ...(options.replicaOf ? ['--replicaof', '127.0.0.1', String(options.replicaOf.port)] : []),
    ...(options.args ?? []),
  ];
  let port = options.port ?? (await freePort());
  let child: ChildProcess | undefined;
  for (let tries = 0; child === undefined; tries += 1) {
    try {
      child = await launch(port, dir, args);
    } catch (error) {
      // Somebody else may have taken the port since.
      if (options.port !== undefined || tries === 4) throw error;
      port = await freePort();
    }
  }
  return new StartedRedis(child, port, dir, args, options.dir === undefined);
}

class StartedRedis implements RedisServer {
  readonly url: string;
  #child: ChildProcess;

  constructor(
    child: ChildProcess,
    readonly port: number,
    readonly dir: string,
    private readonly args: string[],
    private readonly ownsDir: boolean,
  ) {
    this.#child = child;
    this.url = `redis://127.0.0.1:${port}`;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  cli(...args: string[]): Promise<string> {
    return cli(this.port, args);
  }

  async stop(): Promise<void> {
    await end(this.#child, 'SIGKILL');
    if (this.ownsDir) await rm(this.dir, { recursive: true, force: true });
  }

  kill(): Promise<void> {
    return end(this.#child, 'SIGKILL');
  }

  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  async restart({ keepData }: { keepData: boolean }): Promise<void> {
    await this.kill();
    if (!keepData) {
      await rm(join(this.dir, 'dump.rdb'), { force: true });
      await rm(join(this.dir, 'appendonlydir'), { recursive: true, force: true });
    }
    this.#child = await launch(this.port, this.dir, this.args);
  }
}
