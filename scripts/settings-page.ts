// Writes docs/SETTINGS.md from the settings and the commands: npm run docs:settings
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { AGENT_SETTING_TEXTS } from '../agent/config/settings.ts';
import { hubsCommand } from '../cli/hubs.ts';
import { nodesCommand } from '../cli/nodes.ts';
import { simulateCommand } from '../cli/simulate.ts';
import { watchCommand } from '../cli/watch.ts';
import { HUB_SETTING_TEXTS, RELOADED_SETTINGS } from '../server/settings.ts';
import type { SettingText } from '../shared/setting-text.ts';

/** The whole of docs/SETTINGS.md. */
export function settingsPage(): string {
  return `<!-- Made by \`npm run docs:settings\` from the code. Change the texts there. -->
# Settings

[A hub](#a-hub) · [An agent](#an-agent) · [Commands that read a fleet](#commands-that-read-a-fleet) ·
[The simulator](#the-simulator)

A setting comes from a flag or from the environment; flags win. An empty variable counts as not set. A wrong value is
one line on stderr that names the setting, and exit code 2. Durations are written \`500ms\`, \`10s\`, \`3m\`, \`1h\` or
\`2d\`. The same texts stand in the \`--help\` of each command.

## A hub

For \`rollcall hub\`, and, but for \`SERVE\` and \`WORKERS\`, for \`rollcall up\`. A token has no flag, because every user of a
machine sees the command lines of others. A bare number is not a duration. \`--dev\` is \`HEARTBEAT_INTERVAL=1s\`,
\`HEARTBEAT_TIMEOUT=3s\` and \`LOG_LEVEL=debug\`.

${table(['setting', 'default', 'flag', 'values', 'what it does'], HUB_SETTING_TEXTS.map(hubRow))}

## An agent

For \`rollcall agent\`. Flags win over the environment, the environment over a YAML file with the keys of the third
column. Each setting is taken as a whole: labels of two sources are not merged. In a
comma list, \`\\,\` is a comma in a value.

${table(['setting', 'flag', 'key in the file', 'default', 'values', 'what it does'], agentRows())}

The agent also takes the flags, variables and file of other node agents: [MIGRATING.md](MIGRATING.md).

## Commands that read a fleet

\`watch\`, \`nodes\`, \`hubs\` and \`simulate --watch-dashboard\` take these variables:

${table(['variable', 'what it does'], READER_VARIABLES)}

${[watchCommand(), ...visibleCommands(nodesCommand()), hubsCommand()].map(flagsSection).join('\n\n')}

## The simulator

\`rollcall simulate\` takes its agents' token from \`AGENT_TOKEN\` or \`AGENT_TOKEN_FILE\`. [Its
profiles](OPERATIONS.md#trying-it-under-load) have their own defaults for \`--every\`, \`--away\`, \`--share\`, \`--latency\` and
\`--jitter\`.

${flagsTable(simulateCommand())}
`;
}

const READER_VARIABLES = [
  ['`ROLLCALL_URL`', 'the hub, where `--hub` is not given; `http://127.0.0.1:8080` where neither is'],
  ['`ROLLCALL_TOKEN`', 'the token that is shown to the hub'],
  ['`ROLLCALL_TOKEN_FILE`', 'a file that holds the token; refused where `ROLLCALL_TOKEN` is set too'],
  ['`DASHBOARD_TOKEN`', 'the token, where neither of these is set'],
  [
    '`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`',
    'the proxy on the way to the hub, for agents too; a hub on this machine is reached directly',
  ],
  [
    '`NODE_EXTRA_CA_CERTS`',
    'a file of certificate authorities to trust besides those of Node, for agents and hubs too',
  ],
];

function hubRow({ name, byDefault, flag, range, what, more }: SettingText): string[] {
  const inFile = RELOADED_SETTINGS.some((reloaded) => reloaded === name);
  const file = inFile ? `; or \`${name}_FILE\`, a file that holds it` : '';
  const link = more === undefined ? '' : `: [more](${more})`;
  return [
    code(name),
    byDefault === undefined ? 'none' : code(byDefault),
    code(flag),
    range ?? '',
    what + file + link,
  ];
}

function agentRows(): string[][] {
  const rows = AGENT_SETTING_TEXTS.flatMap(({ name, also, flag, key, byDefault = '', range = '', what }) => [
    [code(name), code(flag), code(key), isWord(byDefault) ? code(byDefault) : byDefault, range, what],
    ...(also === undefined ? [] : [[code(also), '', '', '', '', `the same, where ${code(name)} is not set`]]),
    ...(key === 'token'
      ? [['`AGENT_TOKEN_FILE`', '', '`tokenFile`', '', '', 'a file that holds the token']]
      : []),
  ]);
  return [...rows, ['`AGENT_CONFIG`', '`--config`', '', '', '', 'the YAML file']];
}

const isWord = (text: string): boolean => /^\S+$/.test(text);

const visibleCommands = (command: Command): Command[] =>
  command
    .createHelp()
    .visibleCommands(command)
    .filter((sub) => sub.name() !== 'help');

function flagsSection(command: Command): string {
  const path = command.parent ? `${command.parent.name()} ${command.name()}` : command.name();
  return `### rollcall ${path}\n\n${flagsTable(command)}`;
}

function flagsTable(command: Command): string {
  const options = command.options.filter(({ hidden }) => !hidden);
  return table(
    ['flag', 'what it does'],
    options.map(({ flags, description }) => [code(flags), description]),
  );
}

const code = (text: string | undefined): string => (text ? `\`${text}\`` : '');

function table(titles: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(titles), `|${'---|'.repeat(titles.length)}`, ...rows.map(line)].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync('docs/SETTINGS.md', settingsPage());
