import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { FleetAgentError } from '../../agent/index.ts';
import { toAgentUrl } from '../../agent/session/hub-urls.ts';
import { durationSchema, IN_WORDS, idSchema, LIMITS } from '../../shared/index.ts';
import { numbersOf, PROFILES } from '../../simulate/profiles/index.ts';
import type { ProfileKind, ProfileNumbers } from '../../simulate/profiles/profile.ts';
import type { SimulationOptions } from '../../simulate/simulation.ts';
import { readHubToken, readHubUrl } from '../hub-access.ts';
import { UsageError } from '../usage-error.ts';
import { sourceAddresses } from './source-addresses.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What the command line says. */
export interface SimulateFlags {
  hub?: string[];
  agents?: string;
  profile?: string;
  duration?: string;
  rate?: string;
  interval?: string;
  stats?: string;
  prefix?: string;
  racks?: string;
  seed?: string;
  from?: string;
  every?: string;
  away?: string;
  share?: string;
  latency?: string;
  jitter?: string;
  watchDashboard?: boolean;
  deregister?: boolean;
  json?: boolean;
  yes?: boolean;
}

export interface SimulateSettings {
  options: SimulationOptions;
  json: boolean;
  /** Where to follow the simulated nodes as a dashboard, if asked for. */
  dashboard?: { hubUrl: string; token?: string };
}

/** Open files that are no agents: the program's own, and the dashboard's. */
const RESERVED_FILES = 100;

const whole = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,10}$/, 'must be a whole number')
    .transform(Number)
    .refine((n) => n >= least && n <= most, `must be from ${least} to ${most}`);
const share = z
  .string()
  .regex(/^(\d{1,3}(\.\d{1,6})?|\.\d{1,6})%?$/, 'must be a share such as 0.1 or 10%')
  .transform((text) => (text.endsWith('%') ? Number(text.slice(0, -1)) / 100 : Number(text)))
  .refine((n) => n <= 1, 'must be at most 1');
const someShare = share.refine((n) => n > 0, 'must be more than 0');
const durationFrom = (leastMs: number, least: string) =>
  durationSchema.refine((ms) => ms >= leastMs, `must be at least ${least}`);

const flagsSchema = z.object({
  agents: whole(1, 1_000_000).default(100),
  duration: durationFrom(1_000, '1s').default(60_000),
  rate: z
    .string()
    .transform((text) => text.replace(/\/s$/, ''))
    .pipe(whole(1, 100_000))
    .default(200),
  interval: durationSchema
    .refine((ms) => ms > 0 && ms <= LIMITS.longestIntervalMs, 'must be from 1ms to 10m')
    .exactOptional(),
  stats: share.default(1),
  prefix: idSchema.max(LIMITS.nameLength - 10).default('sim'),
  racks: whole(1, 10_000).default(20),
  seed: whole(0, 4_294_967_295).exactOptional(),
  every: durationFrom(100, '100ms').exactOptional(),
  away: durationSchema.exactOptional(),
  share: someShare.exactOptional(),
  latency: durationSchema.refine((ms) => ms <= 60_000, 'must be at most 60s').exactOptional(),
  jitter: durationSchema.refine((ms) => ms <= 60_000, 'must be at most 60s').exactOptional(),
});

/** The flags of the profiles' numbers. */
const numberFlags = {
  every: 'everyMs',
  away: 'awayMs',
  share: 'share',
  latency: 'latencyMs',
  jitter: 'jitterMs',
} as const satisfies Record<string, keyof ProfileNumbers>;

/**
 * Reads flags and environment. `openFiles` is how many files this process may open, where that is known. Throws
 * `UsageError`.
 */
export function readSimulateSettings(
  flags: SimulateFlags,
  env: Environment,
  openFiles: number | undefined,
): SimulateSettings {
  const { hub, profile: name = 'steady', from, json = false, yes = false, deregister, ...rest } = flags;
  const { watchDashboard = false, ...numeric } = rest;
  const read = flagsSchema.safeParse(numeric, IN_WORDS);
  if (!read.success) {
    const [issue] = read.error.issues;
    throw new UsageError(`--${issue?.path.join('.')}: ${issue?.message}`);
  }
  if (hub?.some((url) => url.trim() === '')) throw new UsageError('--hub must not be empty');
  const { agents, duration, rate, interval, stats, prefix, racks, seed } = read.data;
  const profile = profileNamed(name);
  const hubUrls = readHubs(hub ?? (env.ROLLCALL_URL ? [env.ROLLCALL_URL] : undefined));
  if (!yes) checkLoopback(hubUrls, agents);
  if (openFiles !== undefined && agents > openFiles - RESERVED_FILES) {
    throw new UsageError(
      `--agents ${agents}: this process may open ${openFiles} files (ulimit -n), enough for ${Math.max(0, openFiles - RESERVED_FILES)} agents; raise the limit, or start several with another --prefix each`,
    );
  }
  const token = agentToken(env);
  return {
    json,
    options: {
      ...{ hubUrls, agents, prefix, profile },
      ...(token !== undefined && { token }),
      racks: Math.min(racks, agents),
      ...(interval !== undefined && { intervalMs: interval }),
      statsShare: stats,
      connectsPerSecond: rate,
      durationMs: duration,
      seed: seed ?? Math.floor(Math.random() * 1_000_000),
      localAddresses: from === undefined ? [] : sourceAddresses(from),
      numbers: numbersOf(profile, givenNumbers(read.data, profile)),
      end: deregister ? 'deregister' : 'goodbye',
    },
    ...(watchDashboard && { dashboard: dashboardOf(hubUrls, env) }),
  };
}

function profileNamed(name: string): ProfileKind {
  const profile = PROFILES.get(name);
  if (profile) return profile;
  throw new UsageError(`--profile: there is no "${name}"; there are ${[...PROFILES.keys()].join(', ')}`);
}

/** A number that the profile would not look at is a mistake, not a wish. */
function givenNumbers(
  given: Partial<Record<keyof typeof numberFlags, number>>,
  { name, defaults }: ProfileKind,
): Partial<ProfileNumbers> {
  const numbers: Partial<ProfileNumbers> = {};
  for (const flag of ['every', 'away', 'share', 'latency', 'jitter'] as const) {
    const value = given[flag];
    if (value === undefined) continue;
    const number = numberFlags[flag];
    if (!(number in defaults)) throw new UsageError(`--${flag}: the profile ${name} does not use it`);
    numbers[number] = value;
  }
  return numbers;
}

function readHubs(given: readonly string[] = ['ws://127.0.0.1:8080/agent']): string[] {
  try {
    return given
      .flatMap((list) => list.split(','))
      .map((url) => url.trim())
      .filter((url) => url !== '')
      .map(toAgentUrl);
  } catch (error) {
    if (error instanceof FleetAgentError) throw new UsageError(`--hub: ${error.message}`);
    throw error;
  }
}

/** Nobody should load a fleet in use by a slip of the hand. */
function checkLoopback(hubUrls: readonly string[], agents: number): void {
  for (const url of hubUrls) {
    const { hostname, host } = new URL(url);
    if (/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)) continue;
    throw new UsageError(
      `${host} is not this machine: say --yes if ${agents} invented nodes may be registered there`,
    );
  }
}

function agentToken(env: Environment): string | undefined {
  const { AGENT_TOKEN: token, AGENT_TOKEN_FILE: file } = env;
  if (token && file) throw new UsageError('set AGENT_TOKEN or AGENT_TOKEN_FILE, not both');
  const text = token || (file ? readTokenFile(file) : undefined);
  if (text !== undefined && !/^[\x21-\x7e]+$/.test(text)) {
    throw new UsageError('AGENT_TOKEN must be printable ASCII without spaces');
  }
  return text;
}

function readTokenFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    throw new UsageError(`AGENT_TOKEN_FILE: cannot read ${path}`);
  }
}

function dashboardOf(hubUrls: readonly string[], env: Environment): { hubUrl: string; token?: string } {
  const token = readHubToken(env);
  return { hubUrl: readHubUrl(hubUrls[0] ?? ''), ...(token && { token }) };
}
