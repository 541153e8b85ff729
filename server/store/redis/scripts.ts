import { readFileSync } from 'node:fs';
import type { Result } from 'ioredis';

/**
 * Scripts by the name of their ioredis command. The suffix of a file's name is its number of keys; `n`: the first
 * argument of the command.
 */
const files = {
  fleetAttach: 'attach-2',
  fleetRead: 'read-3',
  fleetCommits: 'commits-4',
  fleetBeat: 'beat-n',
  fleetRetime: 'retime-3',
  fleetStats: 'stats-2',
  fleetTick: 'tick-n',
  fleetRestore: 'restore-4',
  fleetSnapshot: 'snapshot-4',
  fleetMend: 'mend-4',
  fleetSettleClock: 'settle-clock-3',
};

/** The scripts in ioredis' form, read from beside this module. */
export function loadScripts(): Record<string, { lua: string; numberOfKeys?: number }> {
  return Object.fromEntries(
    Object.entries(files).map(([command, file]) => {
      const keys = file.slice(file.lastIndexOf('-') + 1);
      return [
        command,
        {
          lua: readFileSync(new URL(`./lua/${file}.lua`, import.meta.url), 'utf8'),
          ...(keys !== 'n' && { numberOfKeys: Number(keys) }),
        },
      ];
    }),
  );
}

type Arguments = ReadonlyArray<string | number>;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    fleetAttach(...args: Arguments): Result<unknown, Context>;
    fleetRead(...args: Arguments): Result<unknown, Context>;
    fleetCommits(...args: Arguments): Result<unknown, Context>;
    fleetBeat(...args: Arguments): Result<unknown, Context>;
    fleetRetime(...args: Arguments): Result<unknown, Context>;
    fleetStats(...args: Arguments): Result<unknown, Context>;
    fleetTick(...args: Arguments): Result<unknown, Context>;
    fleetRestore(...args: Arguments): Result<unknown, Context>;
    fleetSnapshot(...args: Arguments): Result<unknown, Context>;
    fleetMend(...args: Arguments): Result<unknown, Context>;
    fleetSettleClock(...args: Arguments): Result<unknown, Context>;
  }
}
