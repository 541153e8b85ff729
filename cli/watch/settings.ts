import {
  DASHBOARD_PATH,
  type Filter,
  filterFromQuery,
  filterSchema,
  labelKeySchema,
} from '../../shared/index.ts';
import { UsageError } from '../usage-error.ts';

const DEFAULT_HUB = 'http://127.0.0.1:8080';

/** What the command line says. */
export interface WatchFlags {
  hub?: string;
  status?: string[];
  kind?: string[];
  label?: string[];
  location?: string;
  pool?: string;
  q?: string;
  json?: boolean;
  once?: boolean;
}

export interface WatchSettings {
  hubUrl: string;
  token?: string;
  filter: Filter;
  json: boolean;
  once: boolean;
}

/** Reads flags and environment. Throws `UsageError`. */
export function readWatchSettings(
  flags: WatchFlags,
  env: Readonly<Record<string, string | undefined>>,
): WatchSettings {
  const token = env.ROLLCALL_TOKEN || env.DASHBOARD_TOKEN;
  return {
    hubUrl: readHubUrl(flags.hub ?? (env.ROLLCALL_URL || DEFAULT_HUB)),
    filter: readFilter(flags),
    json: flags.json ?? false,
    once: flags.once ?? false,
    ...(token && { token }),
  };
}

/** The hub's HTTP address. An agent's address, `ws://host/agent`, is understood as its hub's. */
export function readHubUrl(text: string): string {
  const complete = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(complete) ? new URL(complete) : undefined;
  const scheme = url && schemes.get(url.protocol);
  if (!url || !scheme || url.hostname === '') {
    throw new UsageError(`${JSON.stringify(text)} is not the address of a hub: write it as ${DEFAULT_HUB}`);
  }
  if (url.username || url.password) {
    throw new UsageError('a token does not belong in the address of a hub: set ROLLCALL_TOKEN');
  }
  const path = url.pathname.replace(/\/+$/, '').replace(/\/agent$/, '');
  return `${scheme}//${url.host}${path.endsWith(DASHBOARD_PATH) ? path.slice(0, -DASHBOARD_PATH.length) : path}`;
}

const schemes: ReadonlyMap<string, string> = new Map([
  ['http:', 'http:'],
  ['https:', 'https:'],
  ['ws:', 'http:'],
  ['wss:', 'https:'],
]);

function readFilter(flags: WatchFlags): Filter {
  const { status = [], kind = [], label = [], location, pool, q } = flags;
  const query: Array<[string, string]> = [
    ...status.map((value): [string, string] => ['status', value]),
    ...kind.map((value): [string, string] => ['kind', value]),
    ...label.map((value): [string, string] => ['label', labelOf(value)]),
  ];
  for (const [key, value] of Object.entries({ location, pool, q })) {
    if (value !== undefined) query.push([key, value]);
  }
  const read = filterSchema.safeParse(filterFromQuery(query));
  if (read.success) return read.data;
  const issue = read.error.issues[0];
  const flag = String(issue?.path[0] ?? 'filter').replace(/^labels$/, 'label');
  throw new UsageError(`--${flag}: ${issue?.message ?? 'is not valid'}`);
}

function labelOf(text: string): string {
  const key = text.slice(0, Math.max(0, text.indexOf('=')));
  if (labelKeySchema.safeParse(key).success) return text;
  throw new UsageError(`--label ${JSON.stringify(text)}: write it as key=value`);
}
