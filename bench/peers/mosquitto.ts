import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../test/support/redis-server.ts';
import { ownChild } from '../harness/child.ts';
import { pinned, until } from '../harness/processes.ts';

const places = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/local/sbin'];

/** Where mosquitto is, where it is installed. */
export const mosquittoPath = places.map((place) => join(place, 'mosquitto')).find((path) => existsSync(path));

/** Its version in words, or that it is not there. */
export function mosquittoVersion(): string {
  if (mosquittoPath === undefined) return 'not installed';
  return (
    spawnSync(mosquittoPath, ['-h']).stdout.toString().split('\n', 1)[0]?.replace('mosquitto version ', '') ??
    ''
  );
}

export interface Mosquitto {
  readonly port: number;
  readonly pid: number;
  kill(): Promise<void>;
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

/** Starts mosquitto on a core, keeping nothing on disk, and waits until it listens. */
export async function startMosquitto(core: number, port: number | undefined): Promise<Mosquitto> {
  if (mosquittoPath === undefined) throw new Error('mosquitto is not installed');
  const dir = await mkdtemp(join(tmpdir(), 'rollcall-bench-'));
  const at = port ?? (await freePort());
  const settings = [
    `listener ${at} 127.0.0.1`,
    'allow_anonymous true',
    'persistence false',
    'log_dest none',
    'sys_interval 0',
    'set_tcp_nodelay true',
    ...(process.getuid?.() === 0 ? ['user root'] : []),
  ];
  const file = join(dir, 'mosquitto.conf');
  await writeFile(file, `${settings.join('\n')}\n`);
  const [program = '', ...args] = pinned(core, [mosquittoPath, '-c', file]);
  const child: ChildProcess = spawn(program, args, { stdio: 'ignore' });
  ownChild(child);
  const kill = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    }
    await rm(dir, { recursive: true, force: true });
  };
  try {
    await until('mosquitto listens', 10_000, () => {
      if (child.exitCode !== null) throw new Error(`mosquitto ended with ${child.exitCode}`);
      return listens(at);
    });
  } catch (error) {
    await kill();
    throw error;
  }
  return { port: at, pid: child.pid ?? 0, kill };
}
