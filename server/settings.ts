import { availableParallelism } from 'node:os';
import { z } from 'zod';
import {
  durationSchema,
  formatDuration,
  type HeartbeatTiming,
  IN_WORDS,
  LIMITS,
  TIMEOUT_INTERVALS,
} from '../shared/index.ts';
import { rangeOf, type SettingText } from '../shared/setting-text.ts';
import { readNetworks } from './edge/client-address.ts';
import {
  DIALECT_CHOICE,
  DIALECT_NUMBERS,
  DIALECT_TIMING,
  DIALECTS,
  type DialectName,
  type DialectTiming,
  dialectOf,
  Networks,
  type OpenDialects,
  parseOpenDialects,
} from './edge/dialects.ts';
import { ROLES } from './edge/serves.ts';
import { parseRedisUrl } from './store/redis/redis-url.ts';

/** A setting is wrong. The message is one line that names it. */
export class SettingsError extends Error {
  override name = 'SettingsError';

  constructor(message: string) {
    // It may quote the value, and a value may be anything.
    super(message.replace(/\s+/g, ' '));
  }
}

const list = z.string().transform((text) =>
  text
    .split(/[,\n]/)
    .map((part) => part.trim())
    .filter((part) => part !== ''),
);

const isLoopback = (host: string): boolean => /^(localhost|127(\.\d{1,3}){3}|::1)$/i.test(host);

/** A list that is set but holds nothing is a mistake: an empty secret file must not open the hub to every caller. */
const tokens = list
  .refine((all) => all.length > 0, { error: 'is set, but holds no token' })
  .refine((all) => all.every((token) => /^[\x21-\x7e]{8,512}$/.test(token)), {
    error: 'each token is 8 to 512 printable characters without spaces',
  })
  .describe('a comma list, each token of 8 to 512 printable characters');

const wholeNumber = (from: number, to: number) =>
  z
    .string()
    .refine((text) => /^\d{1,9}$/.test(text) && Number(text) >= from && Number(text) <= to, {
      error: ({ input }) => `"${String(input)}" is not a whole number from ${from} to ${to}`,
    })
    .transform(Number)
    .describe(`${from.toLocaleString('en-US')} to ${to.toLocaleString('en-US')}`);

const yesOrNo = z
  .string()
  .refine((text) => /^(true|false|1|0|yes|no)$/i.test(text), { error: 'is true or false' })
  .transform((text) => /^(true|1|yes)$/i.test(text))
  .describe('`true` or `false`');

/** Proxies: `true` for any in a private network, or their networks. */
const proxies = z.string().transform((text, context): boolean | Networks => {
  if (/^(true|1|yes)$/i.test(text)) return true;
  if (/^(false|0|no)$/i.test(text)) return false;
  const networks = readNetworks(text.split(',').map((part) => part.trim()));
  if (networks) return networks;
  context.addIssue({ code: 'custom', message: 'is true, false or networks such as 10.0.0.0/8,192.0.2.7' });
  return z.NEVER;
});

const redisUrl = z.string().superRefine((text, context) => {
  try {
    parseRedisUrl(text);
  } catch (error) {
    context.addIssue({
      code: 'custom',
      message: error instanceof Error ? error.message.replace(/^REDIS_URL /, '') : 'is not a Redis URL',
    });
  }
});

/** Each worker is a process, with a connection to Redis and a view of its own. */
const MOST_WORKERS = 256;

const workers = z
  .string()
  .refine((text) => text === 'auto' || (/^\d{1,3}$/.test(text) && +text >= 1 && +text <= MOST_WORKERS), {
    error: ({ input }) => `"${String(input)}" is not auto or a whole number from 1 to ${MOST_WORKERS}`,
  })
  .transform((text) => (text === 'auto' ? Math.min(availableParallelism(), MOST_WORKERS) : Number(text)))
  .describe(`1 to ${MOST_WORKERS}, or \`auto\` for one on each core`);

const origins = list.refine((all) => all.every((origin) => /^https?:\/\/[^/\s]+\/?$/i.test(origin)), {
  error: 'each origin is written as https://fleet.example.com',
});

const shards = wholeNumber(1, 1_024)
  .refine((count) => (count & (count - 1)) === 0, { error: 'must be a power of two, such as 16' })
  .describe('a power of two from 1 to 1,024');

const interval = durationSchema
  .refine((ms) => ms >= 100 && ms <= 600_000, { error: 'must be from 100ms to 10m' })
  .describe('100ms to 10m');

const timeout = durationSchema
  .refine((ms) => ms <= LIMITS.longestTimeoutMs, { error: 'must be at most 24h' })
  .describe(`at least ${TIMEOUT_INTERVALS} x the interval, at most 24h`);

/** An address or a name; IPv6 may be written in the brackets of a URL. */
const host = z
  .string()
  .trim()
  .transform((text) => text.replace(/^\[(.*)\]$/, '$1'))
  .refine((text) => /^[A-Za-z0-9._:%-]+$/.test(text), {
    error: 'must be an address or a name of this machine',
  });

const dialects = list.transform((names, context): DialectName[] => {
  const wrong = names.find((name) => name !== 'none' && !dialectOf(name));
  if (wrong === undefined)
    return DIALECTS.filter((dialect) => names.some((name) => dialectOf(name) === dialect));
  context.addIssue({ code: 'custom', message: `"${wrong}" is no dialect: write ${DIALECT_CHOICE}, or none` });
  return z.NEVER;
});

const openDialects = list.transform((entries, context): OpenDialects => {
  try {
    return parseOpenDialects(entries);
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'is wrong' });
    return z.NEVER;
  }
});

/**
 * `connect=30s/90s,gpu-node=10s/30s`: a later entry counts, and dialects without one have the timing of their protocol.
 */
const dialectTiming = list.transform((entries, context): DialectTiming => {
  const timing = { ...DIALECT_TIMING };
  for (const entry of entries) {
    const [, name = '', every, silence] = /^([^=]+)=([^/]+)\/([^/]+)$/.exec(entry) ?? [];
    const dialect = dialectOf(name);
    const [intervalMs, timeoutMs] = [interval.safeParse(every).data, timeout.safeParse(silence).data];
    const wrong =
      dialect === undefined || intervalMs === undefined || timeoutMs === undefined
        ? `write it as ${DIALECTS[0]}=30s/90s, an interval from 100ms to 10m and a timeout of at most 24h`
        : timeoutMs < TIMEOUT_INTERVALS * intervalMs &&
          `the timeout must be at least ${TIMEOUT_INTERVALS} x the interval`;
    if (wrong) context.addIssue({ code: 'custom', message: `"${entry}" is no timing: ${wrong}` });
    else if (dialect && intervalMs && timeoutMs) timing[dialect] = { intervalMs, timeoutMs };
  }
  return timing;
});

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** The value of a setting's flag, the effect of the setting, and the place of its documentation. */
const texts = z.registry<Pick<SettingText, 'takes' | 'what' | 'more'>>();

/** Every setting of a hub, by its name in the environment. A setting whose text has no `takes` has no flag. */
const schema = z.object({
  HOST: host.default('127.0.0.1').register(texts, {
    takes: '<address>',
    what: 'address to listen on; off loopback, `AGENT_TOKENS` and `DASHBOARD_TOKENS` are required',
  }),
  PORT: wholeNumber(0, 65_535)
    .default(8080)
    .register(texts, { takes: '<port>', what: 'port to listen on; 0 takes any free one' }),
  REDIS_URL: redisUrl.exactOptional().register(texts, {
    takes: '<url>',
    what: 'Redis: `redis://…`, `rediss://…`, a comma list for a Cluster, or `redis+sentinel://…/name`; without it the fleet is kept in memory, for one hub',
    more: 'OPERATIONS.md#redis',
  }),
  KEY_PREFIX: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9:_-]{0,63}$/, 'is letters, digits and :_-')
    .describe('up to 64 letters, digits and `:_-`')
    .default('fleet')
    .register(texts, { takes: '<prefix>', what: 'first part of every key: two fleets can share a Redis' }),
  SHARDS: shards.default(16).register(texts, {
    takes: '<count>',
    what: 'logical shards; cannot be changed once a fleet has them',
    more: 'SCALING.md#shards',
  }),
  SERVE: z
    .enum(ROLES, { error: `is one of ${ROLES.join(', ')}` })
    .default('all')
    .register(texts, {
      takes: '<clients>',
      what: '`agents`, `dashboards` (with page and API) or `all`; other than `all` needs Redis',
      more: 'SCALING.md#hubs-for-agents-hubs-for-dashboards',
    }),
  WORKERS: workers.default(1).register(texts, {
    takes: '<count>',
    what: 'hubs on one port, each a process; more than 1 needs Redis',
    more: 'OPERATIONS.md#several-hubs-on-one-port',
  }),
  HEARTBEAT_INTERVAL: interval
    .default(10_000)
    .register(texts, { takes: '<duration>', what: 'interval between the heartbeats of an agent' }),
  HEARTBEAT_TIMEOUT: timeout
    .default(30_000)
    .register(texts, { takes: '<duration>', what: 'silence after which a node is offline' }),
  ADMIT_PER_SECOND: wholeNumber(1, 1_000_000).default(5_000).register(texts, {
    takes: '<count>',
    what: 'agents admitted in a second, over a burst of four times as many; the others get 503 with `Retry-After`',
    more: 'OPERATIONS.md#storms',
  }),
  MAX_HANDSHAKES: wholeNumber(2, 1_000_000).default(20_000).register(texts, {
    takes: '<count>',
    what: 'agents that may be connecting and registering at a time',
    more: 'OPERATIONS.md#storms',
  }),
  MAX_NODES: wholeNumber(1, 100_000_000)
    .default(100_000)
    .register(texts, { takes: '<count>', what: 'nodes of the fleet; beyond it no new node is registered' }),
  MAX_HEARTBEATS_PER_SECOND: wholeNumber(1, 100_000_000).exactOptional().register(texts, {
    takes: '<count>',
    what: 'heartbeats in a second of the whole fleet, all hubs together; beyond it agents get a longer interval, and `HEARTBEAT_INTERVAL` must be at least 1s',
    more: 'OPERATIONS.md#large-fleets',
  }),
  HEARTBEAT_INTERVAL_MAX: interval.default(60_000).register(texts, {
    takes: '<duration>',
    what: 'longest interval that `MAX_HEARTBEATS_PER_SECOND` may lead to; the timeout grows in the same ratio',
    more: 'OPERATIONS.md#large-fleets',
  }),
  AGENT_TOKENS: tokens.default([]).register(texts, {
    what: 'tokens that may register and beat; `name:token` names one',
    more: 'OPERATIONS.md#tokens',
  }),
  DASHBOARD_TOKENS: tokens
    .default([])
    .register(texts, { what: 'tokens that may read', more: 'OPERATIONS.md#tokens' }),
  ADMIN_TOKENS: tokens
    .default([])
    .register(texts, { what: 'tokens that may remove nodes, and read', more: 'OPERATIONS.md#tokens' }),
  DIALECTS: dialects.default([...DIALECTS]).register(texts, {
    takes: '<list>',
    what: 'protocols of other control planes whose agents work here unchanged, or `none`',
    more: 'MIGRATING.md',
  }),
  OPEN_DIALECTS: openDialects.default(new Map()).register(texts, {
    takes: '<list>',
    what: 'dialects that need no token, and from which network, such as `fleet-manager@10.0.0.0/8`; `connect` and `fleet-manager` then list all nodes there without a token',
    more: 'OPERATIONS.md#tokens',
  }),
  DIALECT_TIMING: dialectTiming.default(DIALECT_TIMING).register(texts, {
    takes: '<list>',
    what: 'interval and timeout of the agents of each dialect; a dialect that is not named keeps its own',
  }),
  ALLOWED_ORIGINS: origins.default([]).register(texts, {
    takes: '<list>',
    what: "origins of pages besides the hub's own that may connect, such as `https://fleet.example.com`",
  }),
  TRUST_PROXY: proxies.default(false).register(texts, {
    takes: '[networks]',
    what: 'proxies whose `X-Forwarded-For` or `Forwarded` is taken for the address of a client, such as `10.0.0.5,192.168.7.0/24`; `true`, or the flag alone: any proxy in a private network',
  }),
  DOCS: yesOrNo.default(true).register(texts, {
    takes: '<yes|no>',
    what: 'serve `/docs`, `/openapi.json` and `/asyncapi.json`, which need no token',
  }),
  LOG_LEVEL: z
    .enum(LOG_LEVELS)
    .default('info')
    .register(texts, { takes: '<level>', what: `least level of the log: ${LOG_LEVELS.join(', ')}` }),
});

export type HubSettings = z.output<typeof schema>;
export type HubSettingName = keyof HubSettings;

/** The settings' names, for readers of other sources than the environment. */
export const HUB_SETTINGS = z.keyof(schema).options;

/** Settings that may also come from a file named by `<NAME>_FILE`, so that a secret need not stand in the environment. */
const fileSettings = ['AGENT_TOKENS', 'DASHBOARD_TOKENS', 'ADMIN_TOKENS', 'LOG_LEVEL'] as const;

/** Settings that a running hub reads again from their files. */
export const RELOADED_SETTINGS = fileSettings;

/** Every setting of a hub in words, in their order. */
export const HUB_SETTING_TEXTS: ReadonlyArray<SettingText & { name: HubSettingName }> = HUB_SETTINGS.map(
  (name) => {
    const { [name]: setting } = schema.shape;
    const text = texts.get(setting) ?? { what: '' };
    const byDefault = written(setting.safeParse(undefined).data, text.takes === '<duration>');
    const range = rangeOf(setting);
    return {
      name,
      ...text,
      ...(text.takes !== undefined && { flag: `--${name.toLowerCase().replaceAll('_', '-')}` }),
      ...(byDefault !== '' && { byDefault }),
      ...(range !== undefined && { range }),
    };
  },
);

/** A default as an operator would write it. */
function written(value: HubSettings[HubSettingName] | undefined, isDuration: boolean): string {
  if (value === undefined || value instanceof Map || value instanceof Networks) return '';
  if (typeof value === 'number' && isDuration) return formatDuration(value);
  if (typeof value !== 'object') return String(value);
  if (Array.isArray(value)) return value.join();
  return Object.entries(value)
    .map(
      ([dialect, { intervalMs, timeoutMs }]: [string, HeartbeatTiming]) =>
        `${dialect}=${formatDuration(intervalMs)}/${formatDuration(timeoutMs)}`,
    )
    .join();
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Parses a hub's settings. Throws `SettingsError`. An empty value counts as none. `warn` gets a line for each setting
 * in a form that the next version no longer reads.
 */
export function readHubSettings(
  environment: Environment,
  readFile: (path: string) => string,
  warn: (line: string) => void = () => {},
): HubSettings {
  const given: Record<string, string> = {};
  for (const name of HUB_SETTINGS) {
    const value = environment[name];
    if (value !== undefined && value !== '') given[name] = value;
  }
  takeDialectNumbers(given, environment, warn);
  const fromFile = new Set<unknown>();
  for (const name of fileSettings) {
    const path = environment[`${name}_FILE`];
    if (!path) continue;
    if (given[name] !== undefined)
      throw new SettingsError(`${name}: ${name}_FILE is set too; set one of them`);
    given[name] = readSecret(`${name}_FILE`, path, readFile);
    fromFile.add(name);
  }
  const result = schema.safeParse(given, IN_WORDS);
  if (!result.success) {
    const issue = result.error.issues[0];
    const name = String(issue?.path[0] ?? 'settings');
    throw new SettingsError(`${fromFile.has(name) ? `${name}_FILE` : name}: ${issue?.message ?? 'is wrong'}`);
  }
  checkTogether(result.data);
  return result.data;
}

/**
 * The form of version 0.1: dialects by their numbers, and `DIALECT_000_INTERVAL` and `DIALECT_000_TIMEOUT` for each.
 */
function takeDialectNumbers(
  given: Record<string, string>,
  environment: Environment,
  warn: (line: string) => void,
): void {
  for (const name of ['DIALECTS', 'OPEN_DIALECTS', 'DIALECT_TIMING']) {
    const text = given[name];
    const words = text?.replaceAll(
      /(?<=^|[\s,])00[0-4](?=$|[\s,@=])/g,
      (number) => DIALECT_NUMBERS.get(number) ?? number,
    );
    if (text !== words) warn(`${name}: write ${words} instead of ${text}`);
  }
  for (const [number, dialect] of DIALECT_NUMBERS) {
    const names = [`DIALECT_${number}_INTERVAL`, `DIALECT_${number}_TIMEOUT`] as const;
    const [every, silence] = names.map((name) => environment[name] || undefined);
    if (number === '002' || (every === undefined && silence === undefined)) continue;
    const { intervalMs, timeoutMs } = DIALECT_TIMING[dialect];
    const [shortest, longest] = [every ?? formatDuration(intervalMs), silence ?? formatDuration(timeoutMs)];
    checkTiming(
      `DIALECT_${number}`,
      readOne(names[0], interval, shortest),
      readOne(names[1], timeout, longest),
    );
    const entry = `${dialect}=${shortest}/${longest}`;
    warn(`${names.join(' and ')}: write DIALECT_TIMING=${entry} instead`);
    given.DIALECT_TIMING = [entry, given.DIALECT_TIMING].filter(Boolean).join();
  }
}

function readOne(name: string, schema: z.ZodType<number, string>, text: string): number {
  const { data, error } = schema.safeParse(text);
  if (data === undefined) throw new SettingsError(`${name}: ${error.issues[0]?.message ?? 'is wrong'}`);
  return data;
}

function readSecret(name: string, path: string, readFile: (path: string) => string): string {
  try {
    return readFile(path).trim();
  } catch (error) {
    throw new SettingsError(
      `${name}: cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** The interval and timeout of agents, unless an agent or the size of the fleet requires longer ones. */
export function hubTimingOf(settings: HubSettings): HeartbeatTiming {
  return { intervalMs: settings.HEARTBEAT_INTERVAL, timeoutMs: settings.HEARTBEAT_TIMEOUT };
}

function checkTiming(prefix: string, intervalMs: number, timeoutMs: number): void {
  if (timeoutMs >= TIMEOUT_INTERVALS * intervalMs) return;
  const [timeout, every] = [formatDuration(timeoutMs), formatDuration(intervalMs)];
  throw new SettingsError(
    `${prefix}_TIMEOUT (${timeout}) must be at least ${TIMEOUT_INTERVALS} x ${prefix}_INTERVAL (${every})`,
  );
}

/** In memory, a fleet has one hub. */
function checkStore({ REDIS_URL, SERVE, WORKERS }: HubSettings): void {
  if (REDIS_URL !== undefined) return;
  if (SERVE !== 'all')
    throw new SettingsError(
      `SERVE: ${SERVE} needs a REDIS_URL: in memory a fleet has one hub, which serves all`,
    );
  if (WORKERS !== 1)
    throw new SettingsError(`WORKERS: ${WORKERS} workers need a REDIS_URL: in memory a fleet has one hub`);
}

/** Beats closer than this could not be distinguished at each check, which an adaptive interval needs. */
const SHORTEST_ADAPTED_MS = 1_000;

/** The limits of an interval that grows with the fleet. */
function checkPace(settings: HubSettings): void {
  const { HEARTBEAT_INTERVAL, HEARTBEAT_TIMEOUT, HEARTBEAT_INTERVAL_MAX } = settings;
  if (settings.MAX_HEARTBEATS_PER_SECOND === undefined) return;
  const [interval, longest] = [formatDuration(HEARTBEAT_INTERVAL), formatDuration(HEARTBEAT_INTERVAL_MAX)];
  if (HEARTBEAT_INTERVAL < SHORTEST_ADAPTED_MS) {
    throw new SettingsError(
      `MAX_HEARTBEATS_PER_SECOND: needs a HEARTBEAT_INTERVAL (${interval}) of at least 1s`,
    );
  }
  if (HEARTBEAT_INTERVAL_MAX < HEARTBEAT_INTERVAL) {
    throw new SettingsError(
      `HEARTBEAT_INTERVAL_MAX (${longest}) must be at least HEARTBEAT_INTERVAL (${interval})`,
    );
  }
  // Not agreeTiming(), which would cut the timeout to the limit.
  const timeoutMs = (HEARTBEAT_TIMEOUT * HEARTBEAT_INTERVAL_MAX) / HEARTBEAT_INTERVAL;
  if (timeoutMs > LIMITS.longestTimeoutMs) {
    const ratio = `${formatDuration(HEARTBEAT_TIMEOUT)} : ${interval}`;
    throw new SettingsError(
      `HEARTBEAT_INTERVAL_MAX (${longest}): the timeout that belongs to it, in the ratio ${ratio}, is over 24h`,
    );
  }
}

/** Rules between settings. */
function checkTogether(settings: HubSettings): void {
  const { HOST, HEARTBEAT_INTERVAL, HEARTBEAT_TIMEOUT, AGENT_TOKENS, DASHBOARD_TOKENS } = settings;
  checkStore(settings);
  checkTiming('HEARTBEAT', HEARTBEAT_INTERVAL, HEARTBEAT_TIMEOUT);
  checkPace(settings);
  if (isLoopback(HOST)) return;
  for (const [name, list] of [
    ['AGENT_TOKENS', AGENT_TOKENS],
    ['DASHBOARD_TOKENS', DASHBOARD_TOKENS],
  ] as const) {
    if (list.length > 0) continue;
    throw new SettingsError(
      `HOST: ${HOST} is not loopback, so AGENT_TOKENS and DASHBOARD_TOKENS are required; ${name} is not set`,
    );
  }
}
