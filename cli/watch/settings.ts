import type { Agent } from 'node:http';
import type { Filter } from '../../shared/index.ts';
import { type HubAccess, readHubAccess } from '../hub-access.ts';
import type { Environment } from '../secrets.ts';
import { readFilter, type SelectorFlags } from '../selectors.ts';

/** What the command line says. */
export interface WatchFlags extends SelectorFlags {
  hub?: string;
  json?: boolean;
  once?: boolean;
}

export interface WatchSettings extends HubAccess {
  filter: Filter;
  /** The way to the hub, where it is not direct. */
  agent?: Agent | undefined;
  json: boolean;
  once: boolean;
}

/** Reads flags and environment. Throws `UsageError`. */
export function readWatchSettings(flags: WatchFlags, env: Environment): WatchSettings {
  return {
    ...readHubAccess(flags.hub, env),
    filter: readFilter(flags),
    json: flags.json ?? false,
    once: flags.once ?? false,
  };
}
