import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { AGENT_PATH, faultOf, IN_WORDS, idSchema, labelsSchema } from '../../shared/index.ts';
import { rangeOf, type SettingText } from '../../shared/setting-text.ts';
import { toAgentUrl } from '../session/hub-urls.ts';
import { isNodeDaemonLayout, readNodeDaemonLayout } from './node-daemon.ts';
import { parseSettingsFile, type SettingsFile } from './settings-file.ts';
import {
  failuresSettingSchema,
  flagSettingSchema,
  intervalSettingSchema,
  jsonOrListSettingSchema,
  listSettingSchema,
  nameSettingSchema,
  objectSettingSchema,
  pairsSettingSchema,
  portSettingSchema,
} from './settings-values.ts';

const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;

const hubUrlSchema = listSettingSchema
  .refine((urls) => urls.length > 0, 'must name a hub')
  .transform((urls, context): string[] => {
    try {
      return urls.map(toAgentUrl);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
      return z.NEVER;
    }
  });

/** One schema for all sources; the keys are those of the YAML file. */
const settingsSchema = z.object({
  hubUrl: hubUrlSchema.default([`ws://127.0.0.1:8080${AGENT_PATH}`]),
  token: z
    .string('must be text')
    .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces')
    .exactOptional(),
  nodeId: nameSettingSchema.pipe(idSchema).exactOptional(),
  hostname: nameSettingSchema.exactOptional(),
  labels: pairsSettingSchema.pipe(labelsSchema).default({}),
  kind: nameSettingSchema.exactOptional(),
  location: nameSettingSchema.exactOptional(),
  roles: listSettingSchema.default([]),
  pools: listSettingSchema.default([]),
  capabilities: jsonOrListSettingSchema.exactOptional(),
  capacity: objectSettingSchema.exactOptional(),
  metadata: objectSettingSchema.exactOptional(),
  /** Where the node is reached; without it the detected management address. */
  address: nameSettingSchema.exactOptional(),
  /** Goes behind the detected address. */
  port: portSettingSchema.exactOptional(),
  /** Where the disks that matter are mounted; without it every real one that can be written to. */
  diskPaths: listSettingSchema
    .refine((paths) => paths.every((path) => /^(?:\/|[A-Za-z]:\\)/.test(path)), 'must be absolute paths')
    .exactOptional(),
  /** In milliseconds once read. The interval to ask the hub for. */
  heartbeatInterval: intervalSettingSchema.exactOptional(),
  /** In milliseconds once read. How long one answer of the hub may take, to a connection or a registration. */
  answerTimeout: intervalSettingSchema.exactOptional(),
  /** So many heartbeats in a row without an answer, and the agent registers again. */
  maxHeartbeatFailures: failuresSettingSchema.exactOptional(),
  deregisterOnExit: flagSettingSchema.default(false),
  logLevel: z.enum(LOG_LEVELS, { error: `must be one of ${LOG_LEVELS.join(', ')}` }).default('info'),
});

/** The settings of `rollcall agent`, checked. */
export type AgentSettings = z.output<typeof settingsSchema>;
type Key = keyof AgentSettings;

/** A setting as its author knows it; its name is the environment variable. */
interface Setting extends Omit<SettingText, 'range' | 'byDefault'> {
  /** Another variable, which counts where the first is not set. */
  also?: string;
  /** What holds without it, where the schema has no default. */
  without?: string;
  /** Its flag may be repeated. */
  repeats?: true;
}

/** Each setting in words. A token is never a flag: others see those in the process list. */
const settings: Record<Key, Setting> = {
  hubUrl: {
    name: 'HUB_URL',
    also: 'ORCHESTRATOR_URL',
    flag: '--hub',
    takes: '<url>',
    repeats: true,
    what: 'the hub, `ws(s)://host:port/agent` or `http(s)://host`; several are tried in random order',
  },
  token: { name: 'AGENT_TOKEN', what: 'the token that the agent shows to hubs' },
  nodeId: {
    name: 'NODE_ID',
    flag: '--node-id',
    takes: '<id>',
    what: 'the id of this node',
    without: 'follows from the hostname',
  },
  hostname: {
    name: 'NODE_HOSTNAME',
    flag: '--hostname',
    takes: '<name>',
    what: "the node's hostname",
    without: "this machine's",
  },
  labels: {
    name: 'NODE_LABELS',
    flag: '--label',
    takes: '<key=value>',
    repeats: true,
    what: 'labels, such as `zone=a,rack=b`',
  },
  kind: {
    name: 'NODE_KIND',
    flag: '--kind',
    takes: '<kind>',
    what: 'what kind of machine this is, such as `hypervisor`, `gpu` or `edge`',
  },
  location: { name: 'NODE_LOCATION', flag: '--location', takes: '<place>', what: 'where the machine stands' },
  roles: { name: 'NODE_ROLES', flag: '--role', takes: '<role>', repeats: true, what: 'roles of the node' },
  pools: {
    name: 'NODE_POOLS',
    flag: '--pool',
    takes: '<pool>',
    repeats: true,
    what: 'pools that the node belongs to',
  },
  capabilities: {
    name: 'NODE_CAPABILITIES',
    what: 'any JSON, or a comma list of words',
    without: 'the GPUs of the machine',
  },
  capacity: { name: 'NODE_CAPACITY', what: 'a JSON object, or pairs such as `maxServers=20`' },
  metadata: { name: 'NODE_METADATA', what: 'a JSON object, or pairs such as `owner=ops`' },
  address: {
    name: 'NODE_ADDRESS',
    flag: '--address',
    takes: '<address>',
    what: 'where the machine is reached',
    without: 'the local address of the connection to the hub',
  },
  port: {
    name: 'NODE_PORT',
    flag: '--port',
    takes: '<port>',
    what: 'a port to append to the detected address',
  },
  diskPaths: {
    name: 'DISK_PATHS',
    what: 'disks of which the fullest is reported, such as `/,/var`',
    without: 'every real disk that can be written to',
  },
  heartbeatInterval: {
    name: 'HEARTBEAT_INTERVAL',
    flag: '--interval',
    takes: '<duration>',
    what: "the heartbeat interval to ask for, longer than the hub's",
    without: "the hub's",
  },
  answerTimeout: {
    name: 'HEARTBEAT_TIMEOUT',
    what: 'how long the hub may take to open a connection, or to answer a registration',
    without: '10s',
  },
  maxHeartbeatFailures: {
    name: 'MAX_HEARTBEAT_FAILURES',
    what: 'unanswered heartbeats in a row before the agent registers again',
    without: '3',
  },
  deregisterOnExit: {
    name: 'DEREGISTER_ON_EXIT',
    flag: '--deregister-on-exit',
    what: 'have the hub remove this node when the agent ends',
  },
  logLevel: {
    name: 'LOG_LEVEL',
    flag: '--log-level',
    takes: '<level>',
    what: `least level of the log: ${LOG_LEVELS.join(', ')}`,
  },
};

const isKey = (key: string): key is Key => Object.hasOwn(settings, key);

/** Every setting of an agent in words, with its key in the YAML file. */
export const AGENT_SETTING_TEXTS: ReadonlyArray<SettingText & { key: Key; also?: string; repeats?: true }> =
  Object.keys(settings)
    .filter(isKey)
    .map((key) => {
      const { without, ...text } = settings[key];
      const set = settingsSchema.shape[key].safeParse(undefined).data;
      const isMap = typeof set === 'object' && !Array.isArray(set);
      const byDefault = isMap ? without : String(set ?? without ?? '');
      const range = rangeOf(settingsSchema.shape[key]);
      return { key, ...text, ...(byDefault && { byDefault }), ...(range !== undefined && { range }) };
    });

/** Wrong settings: one line each, that names the setting and says what to write. */
export class SettingsError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'SettingsError';
    this.problems = problems;
  }
}

export interface SettingsSources {
  /** By setting, as given on the command line; lists for flags that repeat. `config`: the YAML file's path. */
  flags?: Partial<Record<Exclude<Key, 'token'> | 'config', unknown>>;
  env?: Readonly<Record<string, string | undefined>>;
  /** A file that is read where no other is named, if it is there. */
  defaultConfig?: string;
  /** Reads a file as text; throws as `readFileSync` does. */
  readFile?: (path: string) => string;
}

/** A value and the name by which its author knows it. */
interface Given {
  value: unknown;
  name: string;
}

const readText = (path: string): string => readFileSync(path, 'utf8');

/**
 * The agent's settings: flags over environment over the YAML file over defaults, each setting as a whole (labels of
 * two sources are not merged). An empty variable counts as unset. Throws a `SettingsError`.
 *
 * AGENT_TOKEN_FILE names a file that holds the token, AGENT_CONFIG the YAML file. The file is flat:
 *
 *     hubUrl: [wss://hub-1.example, wss://hub-2.example]
 *     tokenFile: /run/secrets/agent-token
 *     nodeId: hypervisor-01
 *     hostname: hypervisor-01.local
 *     labels: { zone: us-east-1a, rack: rack-42 }
 *     roles: [compute]
 *     capacity: { maxServers: 20 }
 *     port: 9090
 *     heartbeatInterval: 30s
 */
export function readAgentSettings(sources: SettingsSources): AgentSettings {
  const { flags = {}, env = {}, readFile = readText } = sources;
  const problems: string[] = [];
  const named = flags.config ?? nonEmpty(env.AGENT_CONFIG);
  const path = named ?? presentFile(sources.defaultConfig, readFile);
  const file = readConfig(path, readFile, problems);
  const given = new Map<Key, Given>();
  for (const key of Object.keys(settings).filter(isKey)) {
    const found = find(key, flags, env, file);
    if (found) given.set(key, found);
  }
  const token = readToken(env, file, given.get('token'), readFile, problems);
  if (token) given.set('token', token);
  const parsed = settingsSchema.safeParse(
    Object.fromEntries([...given].map(([key, { value }]) => [key, value])),
    IN_WORDS,
  );
  if (!parsed.success) problems.push(...parsed.error.issues.map((issue) => describe(issue, given)));
  if (problems.length > 0 || !parsed.success) throw new SettingsError(problems);
  return parsed.data;
}

/** The path, where such a file is there. */
function presentFile(path: string | undefined, readFile: (path: string) => string): string | undefined {
  if (path === undefined) return undefined;
  try {
    readFile(path);
    return path;
  } catch (error) {
    // One that is there but cannot be read is complained about like a named one.
    const code = error instanceof Error && 'code' in error ? error.code : 'ENOENT';
    return code === 'ENOENT' || code === 'ENOTDIR' ? undefined : path;
  }
}

const nonEmpty = (value: string | undefined): string | undefined => (value === '' ? undefined : value);

function find(
  key: Key,
  flags: NonNullable<SettingsSources['flags']>,
  env: NonNullable<SettingsSources['env']>,
  file: ReadonlyMap<string, Given>,
): Given | undefined {
  const { name: own, also, flag } = settings[key];
  const typed = key === 'token' ? undefined : flags[key];
  if (typed !== undefined && flag !== undefined) return { value: typed, name: flag };
  for (const name of [own, also]) {
    const value = name === undefined ? undefined : nonEmpty(env[name]);
    if (name !== undefined && value !== undefined) return { value, name };
  }
  return file.get(key);
}

/** The YAML file's settings by key; complains about a key that is none, which is most often a slip. */
function readConfig(
  path: unknown,
  readFile: (path: string) => string,
  problems: string[],
): Map<string, Given> {
  const settings = new Map<string, Given>();
  if (typeof path !== 'string') return settings;
  let file: SettingsFile;
  try {
    file = parseSettingsFile(readFile(path));
  } catch (error) {
    problems.push(`AGENT_CONFIG: cannot read ${path}: ${firstLine(error)}`);
    return settings;
  }
  const entries = entriesOf(file.text);
  const json = entriesOf(file.json);
  if (entries === undefined) {
    problems.push(`AGENT_CONFIG: ${path} must hold settings as "key: value" lines`);
    return settings;
  }
  if (isNodeDaemonLayout(entries)) {
    const daemon = readNodeDaemonLayout(entries);
    problems.push(...daemon.problems.map((problem) => `${path}: ${problem}`));
    for (const [key, { value, name }] of daemon.settings)
      settings.set(key, { value, name: `${path}: ${name}` });
    return settings;
  }
  for (const [key, value] of Object.entries(entries)) {
    if (!isKey(key) && key !== 'tokenFile') problems.push(`${path}: ${key}: there is no such setting`);
    else if (value !== null)
      settings.set(key, { value: jsonKeys.has(key) ? json?.[key] : value, name: `${path}: ${key}` });
  }
  return settings;
}

/** The settings that may be any JSON; all others are text, and are read as such. */
const jsonKeys: ReadonlySet<string> = new Set<Key>(['capabilities', 'capacity', 'metadata']);

/** The lines of a file; those of an empty file are none. */
function entriesOf(content: unknown): Record<string, unknown> | undefined {
  if (content === null || content === undefined) return {};
  return typeof content === 'object' && !Array.isArray(content) ? { ...content } : undefined;
}

/** The token of a file, where that is how the strongest source gives it. */
function readToken(
  env: NonNullable<SettingsSources['env']>,
  file: ReadonlyMap<string, Given>,
  given: Given | undefined,
  readFile: (path: string) => string,
  problems: string[],
): Given | undefined {
  const variable = nonEmpty(env.AGENT_TOKEN_FILE);
  if (variable !== undefined && nonEmpty(env.AGENT_TOKEN) !== undefined) {
    problems.push('AGENT_TOKEN_FILE: AGENT_TOKEN is set too; set one of them');
    return undefined;
  }
  const inFile = given === undefined ? file.get('tokenFile') : undefined;
  const from = variable === undefined ? inFile : { value: variable, name: 'AGENT_TOKEN_FILE' };
  if (from === undefined) return undefined;
  try {
    return { value: readFile(String(from.value)).trim(), name: from.name };
  } catch (error) {
    problems.push(`${from.name}: cannot read ${String(from.value)}: ${firstLine(error)}`);
    return undefined;
  }
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? '';

/** One line; without the value, which may be a secret. */
function describe(issue: z.core.$ZodIssue, given: ReadonlyMap<Key, Given>): string {
  const { path, message } = faultOf(issue);
  const [key, ...rest] = path.map(String);
  const name = key !== undefined && isKey(key) ? (given.get(key)?.name ?? key) : (key ?? 'settings');
  return `${[name, ...rest].join('.')}: ${message}`.replaceAll(/\s*\n\s*/g, ' ');
}
