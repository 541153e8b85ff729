import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { AGENT_SETTING_TEXTS } from '../../agent/config/settings.ts';
import { agentCommand } from '../../cli/agent.ts';
import { hubCommand } from '../../cli/hub.ts';
import { hubsCommand } from '../../cli/hubs.ts';
import { nodesCommand } from '../../cli/nodes.ts';
import { simulateCommand } from '../../cli/simulate.ts';
import { upCommand } from '../../cli/up.ts';
import { watchCommand } from '../../cli/watch.ts';
import { settingsPage } from '../../scripts/settings-page.ts';
import { HUB_SETTING_TEXTS, HUB_SETTINGS, readHubSettings } from '../../server/settings.ts';
import { formatDuration } from '../../shared/index.ts';
import { PAGES, read } from './pages.ts';

const commands = new Map<string, Command>(
  [
    upCommand(),
    hubCommand(),
    agentCommand(),
    watchCommand(),
    nodesCommand(),
    hubsCommand(),
    simulateCommand(),
  ].map((command) => [command.name(), command]),
);
const flagsOf = (command: Command): string[] => [
  '--help',
  ...command.options.flatMap(({ long }) => (long ? [long] : [])),
];

const agentVariables = AGENT_SETTING_TEXTS.flatMap(({ name, also }) => (also ? [name, also] : [name]));
const files = ['AGENT_TOKENS_FILE', 'DASHBOARD_TOKENS_FILE', 'ADMIN_TOKENS_FILE', 'AGENT_TOKEN_FILE'];
/** Settings of the hub that are lists, empty by default. */
const lists = [
  'AGENT_TOKENS',
  'DASHBOARD_TOKENS',
  'ADMIN_TOKENS',
  'OPEN_DIALECTS',
  'ALLOWED_ORIGINS',
] as const;
const watchVariables = ['ROLLCALL_URL', 'ROLLCALL_TOKEN', 'DASHBOARD_TOKEN'];
const others = ['NODE_ENV', 'NODE_EXTRA_CA_CERTS', 'MODEL_RUNS', 'FUZZ_RUNS', 'CI'];
const variables = new Set([
  ...[...HUB_SETTINGS, ...agentVariables, ...files, ...watchVariables, ...others],
  'AGENT_CONFIG',
]);

/** Rows of a table of settings, by their first cell. */
function settingsUnder(heading: string): string[] {
  const section = read('docs/SETTINGS.md').split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return Array.from(section.matchAll(/^\| `([A-Z][A-Z0-9_]+)` \|/gm), ([, name = '']) => name);
}

describe('the page of settings', () => {
  it('is that of the code: run npm run docs:settings', () => {
    expect(read('docs/SETTINGS.md')).toBe(settingsPage());
  });

  it('says what each setting does', () => {
    for (const { name, what } of [...HUB_SETTING_TEXTS, ...AGENT_SETTING_TEXTS])
      expect(what.length, name).toBeGreaterThan(10);
  });

  it('of the hub are those of the code, with their defaults', () => {
    expect(settingsUnder('A hub')).toEqual(HUB_SETTINGS);
    const defaults = readHubSettings({}, () => '');
    const page = read('docs/SETTINGS.md');
    for (const name of ['HOST', 'PORT', 'KEY_PREFIX', 'SHARDS', 'TRUST_PROXY', 'LOG_LEVEL'] as const) {
      expect(page).toContain(`| \`${name}\` | \`${defaults[name]}\` |`);
    }
    expect(page).toContain(`| \`DIALECTS\` | \`${defaults.DIALECTS.join()}\` |`);
    const timing = HUB_SETTINGS.filter((name) => /_(?:INTERVAL|TIMEOUT)$/.test(name));
    expect(timing).toEqual(['HEARTBEAT_INTERVAL', 'HEARTBEAT_TIMEOUT']);
    for (const name of timing) {
      expect(page).toContain(`| \`${name}\` | \`${formatDuration(Number(defaults[name]))}\` |`);
    }
    const none = HUB_SETTINGS.filter((name) => !page.includes(`| \`${name}\` | \``));
    expect(none).toEqual(['REDIS_URL', 'MAX_HEARTBEATS_PER_SECOND', ...lists]);
    for (const name of none) expect(page).toContain(`| \`${name}\` | none |`);
    for (const name of lists) expect([...defaults[name]]).toEqual([]);
  });

  it('of the agent are those of the code', () => {
    const known = [...agentVariables, 'AGENT_TOKEN_FILE', 'AGENT_CONFIG'];
    expect(settingsUnder('An agent').sort()).toEqual(known.sort());
  });
});

/** The command of a line, down to the subcommand. */
function commandOf(name: string, rest: string): Command | undefined {
  const command = commands.get(name);
  const word = /^ ([a-z]+)/.exec(rest)?.[1];
  const subcommand = command?.commands.find((sub) => sub.name() === word);
  return command?.commands.length && word !== undefined ? subcommand : command;
}

/** Commands in code, fenced or inline: from the program's name to the end of the command. */
function commandLines(page: string): Array<{ name: string; rest: string }> {
  const lines = read(page).matchAll(
    /(?:rollcall|cli\/main\.(?:js|ts)) (up|hubs|hub|agent|watch|nodes|simulate)\b([^\n`|&;#…]*)/g,
  );
  return Array.from(lines, ([, name = '', rest = '']) => ({ name, rest }));
}

describe.each(PAGES)('%s', (page) => {
  it('shows only flags that there are', () => {
    for (const { name, rest } of commandLines(page)) {
      const command = commandOf(name, rest);
      if (!command) throw new Error(`there is no rollcall ${name}`);
      for (const flag of rest.match(/(?<=\s)--[a-z-]+/g) ?? []) {
        expect(flagsOf(command), `rollcall ${name}${rest}`).toContain(flag);
      }
    }
  });

  it('sets only variables that there are', () => {
    const set = read(page).matchAll(/(?<![A-Z_a-z"$])([A-Z][A-Z0-9_]{3,})=(?=\S)/g);
    const unknown = Array.from(set, ([, name = '']) => name).filter((name) => !variables.has(name));
    // Programs of others, as they are called in the page.
    expect(unknown.filter((name) => !/^(LimitNOFILE|TIMEOUT_MINUTES)$/.test(name))).toEqual([]);
  });

  it('has links that lead somewhere', () => {
    for (const [, target = ''] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : relative('.', join(dirname(page), path));
      const text = readFileSync(file, 'utf8');
      if (anchor !== undefined) expect(anchorsOf(text), `${page}: ${target}`).toContain(anchor);
    }
  });

  it('names no machine of ours', () => {
    expect(read(page)).not.toMatch(/\/(?:work|root|tmp|home)\/|registry\.|npmrc/);
  });
});

/** The anchors that GitHub gives to headings. */
function anchorsOf(markdown: string): string[] {
  return Array.from(markdown.matchAll(/^#+ (.+)$/gm), ([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{Letter}\p{Number} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

interface Service {
  environment?: Record<string, string>;
  command?: string[];
  hostname?: string;
}

describe('compose.yaml', () => {
  const compose: { services: Record<string, Service> } = parse(read('compose.yaml'), { merge: true });
  const services = Object.entries(compose.services);
  const inserted = (value: string): string => value.replace(/\$\{\w+:-([^}]*)\}/, '$1');

  it('gives hubs settings that they accept', () => {
    for (const name of ['hub-1', 'hub-2']) {
      const environment = compose.services[name]?.environment ?? {};
      for (const variable of Object.keys(environment)) expect(HUB_SETTINGS).toContain(variable);
      const settings = readHubSettings(
        Object.fromEntries(Object.entries(environment).map(([key, value]) => [key, inserted(value)])),
        () => '',
      );
      expect(settings).toMatchObject({ HOST: '0.0.0.0', REDIS_URL: 'redis://redis:6379' });
    }
  });

  it('gives agents fixed hostnames, settings that there are, and a token that the hubs take', () => {
    const agents = services.filter(([, { command }]) => command?.includes('agent'));
    expect(agents.length).toBeGreaterThan(2);
    const tokens = compose.services['hub-1']?.environment?.AGENT_TOKENS;
    for (const [name, { environment = {}, hostname }] of agents) {
      expect(hostname).toBe(name);
      for (const variable of Object.keys(environment)) expect(agentVariables).toContain(variable);
      expect(environment.AGENT_TOKEN).toBe(tokens);
    }
  });

  it('runs Redis so that it neither evicts nor forgets', () => {
    expect(compose.services.redis?.command?.join(' ')).toContain(
      '--appendonly yes --maxmemory-policy noeviction',
    );
  });
});
