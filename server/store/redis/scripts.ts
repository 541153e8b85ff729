import { readFileSync } from 'node:fs';
import type { Result } from 'ioredis';

/** Scripts by the name of their ioredis command. The number in a file's name is how many keys it takes. */
const files = {
  fleetAttach: 'attach-1',
  fleetRead: 'read-3',
  fleetCommit: 'commit-6',
  fleetBeat: 'beat-1',
  fleetStats: 'stats-1',
  fleetTick: 'tick-3',
  fleetRestore: 'restore-3',
};

/** The scripts as ioredis takes them, read from beside this module. */
export function loadScripts(): Record<string, { lua: string; numberOfKeys: number }> {
  return Object.fromEntries(
    Object.entries(files).map(([command, file]) => [
      command,
      {
        lua: readFileSync(new URL(`./lua/${file}.lua`, import.meta.url), 'utf8'),
        numberOfKeys: Number(file.slice(file.lastIndexOf('-') + 1)),
      },
    ]),
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
