import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { budget } from './budget.ts';
import { leash } from './leash.ts';
import { until } from './until.ts';

export interface RedisServerOptions {
  /** Keeps an append-only file, so that a restart with its data loses nothing. */
  appendonly?: boolean;
  /** Where its files are; else a folder of its own, removed at the end. */
  dir?: string;
  /** Else a free one. */
  port?: number;
  /** Copies another server; started once the copy is whole. */
  replicaOf?: { port: number };
  /** Is no store but a Sentinel that knows that server as `mymaster`, and replaces it half a second after it died. */
  sentinelOf?: { port: number };
  /** Is a Sentinel with this config file, which must lie in `dir`. */
  sentinelConfig?: string;
  /** More settings of redis-server, such as `--requirepass secret`. */
  args?: string[];
  /** More of its environment. */
  env?: Readonly<Record<string, string>>;
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
  /**
   * SIGKILL, and up again on the same port with what its files hold (the last `SAVE`, or its AOF), or with
   * nothing.
   */
  restart(how: { keepData: boolean }): Promise<void>;
}

const run = promisify(execFile);

const running = new Set<ChildProcess>();

/** How long a server may take to answer. */
const START_WITHIN_MS = 20_000;

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

async function launch(
  port: number,
  dir: string,
  args: string[],
  env: RedisServerOptions['env'] = {},
): Promise<ChildProcess> {
  const listen = ['--bind', '127.0.0.1', '--port', String(port), '--dir', dir, '--logfile', join(dir, 'log')];
  // A config file, which a Sentinel has, must come first.
  const child = spawn('redis-server', [...args, ...listen, '--daemonize', 'no'], {
    env: { ...process.env, ...env },
    stdio: 'ignore',
  });
  leash(child);
  running.add(child);
  child.once('exit', () => running.delete(child));
  child.once('error', () => running.delete(child));
  const began = performance.now();
  while (performance.now() - began < budget(START_WITHIN_MS) && running.has(child)) {
    const info = await cli(port, ['INFO', 'server']).catch(() => '');
    // Another server may have been quicker to take the port. One with a password does not say who it is.
    if (running.has(child) && (info.includes(`process_id:${child.pid}`) || info.startsWith('NOAUTH')))
      return child;
    await sleep(10);
  }
  await end(child);
  const log = await readFile(join(dir, 'log'), 'utf8').catch(() => '');
  throw new Error(
    `redis-server on port ${port} does not start (scripts/install-test-tools.sh installs it)\n${log}`,
  );
}

async function end(child: ChildProcess): Promise<void> {
  if (!running.has(child)) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

async function cli(port: number, args: string[]): Promise<string> {
  const { stdout } = await run('redis-cli', ['-p', String(port), ...args], { timeout: budget(10_000) });
  return stdout.trim();
}

/** Starts a server and waits until it answers. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'rollcall-redis-')));
  const sentinel =
    options.sentinelConfig ?? (options.sentinelOf && (await sentinelConfig(dir, options.sentinelOf.port)));
  const args = [
    ...['--save', '', '--appendonly', options.appendonly ? 'yes' : 'no'],
    ...['--repl-diskless-sync-delay', '0'],
    ...(options.replicaOf ? ['--replicaof', '127.0.0.1', String(options.replicaOf.port)] : []),
    ...(options.args ?? []),
  ];
  const argv = sentinel ? [sentinel, '--sentinel'] : args;
  let port = options.port ?? (await freePort());
  let child: ChildProcess | undefined;
  for (let tries = 0; child === undefined; tries += 1) {
    try {
      child = await launch(port, dir, argv, options.env);
    } catch (error) {
      // Somebody else may have taken the port since.
      if (options.port !== undefined || tries === 4) throw error;
      port = await freePort();
    }
  }
  const server = new StartedRedis(child, port, dir, argv, options);
  if (options.replicaOf) await untilCopied(server);
  return server;
}

async function untilCopied(replica: RedisServer): Promise<void> {
  await until('the replica copies its master', async () =>
    (await replica.cli('INFO', 'replication')).includes('master_link_status:up'),
  );
}

async function sentinelConfig(dir: string, masterPort: number): Promise<string> {
  const file = join(dir, 'sentinel.conf');
  const settings = [
    `monitor mymaster 127.0.0.1 ${masterPort} 1`,
    `down-after-milliseconds mymaster ${budget(500)}`,
    `failover-timeout mymaster ${budget(1_000)}`,
  ];
  await writeFile(file, settings.map((setting) => `sentinel ${setting}\n`).join(''));
  return file;
}

class StartedRedis implements RedisServer {
  readonly url: string;
  #child: ChildProcess;

  constructor(
    child: ChildProcess,
    readonly port: number,
    readonly dir: string,
    private readonly args: string[],
    private readonly options: RedisServerOptions,
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
    await end(this.#child);
    if (this.options.dir === undefined) await rm(this.dir, { recursive: true, force: true });
  }

  kill(): Promise<void> {
    return end(this.#child);
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
    this.#child = await launch(this.port, this.dir, this.args, this.options.env);
  }
}
