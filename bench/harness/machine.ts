import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { mosquittoVersion } from '../peers/mosquitto.ts';
import { canPin } from './processes.ts';
import type { Run } from './results.ts';

/** What the numbers were measured on. */
export function describeMachine(): Run['machine'] {
  const all = cpus();
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const redis = spawnSync('redis-server', ['--version']).stdout?.toString() ?? '';
  return {
    cores: all.length,
    cpu: all[0]?.model ?? 'unknown',
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    node: process.version,
    redis: /v=(\S+)/.exec(redis)?.[1] ?? 'not installed',
    mosquitto: mosquittoVersion(),
    openFiles: /^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 'unknown',
    backlog: readFileSync('/proc/sys/net/core/somaxconn', 'utf8').trim(),
    pinned: canPin && all.length > 1,
  };
}
