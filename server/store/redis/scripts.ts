import { readFileSync } from 'node:fs';
import type { Result } from 'ioredis';

/** Scripts by the name of their ioredis command. A file's name ends with how many keys it takes: `n` as many as it is given. */
const files = {
  fleetAttach: 'attach-1',
  fleetRead: 'read-3',
  fleetCommit: 'commit-6',
  fleetBeat: 'beat-n',
  fleetStats: 'stats-1',
  fleetTick: 'tick-3',
  fleetRestore: 'restore-3',
};

/** The scripts as ioredis takes them, read from beside this module. */
export function loadScripts(): Record<string, { lua: string; numberOfKeys?: number }> {
  return Object.fromEntries(
    Object.entries(files).map(([command, file]) => {
      const lua = readFileSync(new URL(`./lua/${file}.lua`, import.meta.url), 'utf8');
      const keys = file.slice(file.lastIndexOf('-') + 1);
      return [command, keys === 'n' ? { lua } : { lua, numberOfKeys: Number(keys) }];
    }),
  );
}

type Arguments = ReadonlyArray<string | number>;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    fleetAttach(...args: Arguments): Result<unknown, Context>;
    fleetRead(...args: Arguments): Result<unknown, Context>;
    fleetCommit(...args: Arguments): Result<unknown, Context>;
    fleetBeat(...args: Arguments): Result<unknown, Context>;
    fleetStats(...args: Arguments): Result<unknown, Context>;
    fleetTick(...args: Arguments): Result<unknown, Context>;
    fleetRestore(...args: Arguments): Result<unknown, Context>;
  }
}
