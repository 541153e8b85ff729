import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, describe, expect, test } from 'vitest';
import { COMMANDS } from '../../cli/commands.ts';
import { hubSettings } from '../../cli/hub.ts';
import { VERSION } from '../../server/runtime/version.ts';
import { HUB_SETTINGS } from '../../server/settings.ts';
import { Programs } from '../support/program.ts';

const programs = new Programs();
afterAll(() => programs.end());

const hubFlags = [
  '--host',
  '--port',
  '--redis-url',
  '--key-prefix',
  '--shards',
  '--serve',
  '--workers',
  '--heartbeat-interval',
  '--heartbeat-timeout',
  '--max-heartbeats-per-second',
  '--heartbeat-interval-max',
  '--dialects',
  '--open-dialects',
  '--dialect-timing',
  '--allowed-origins',
  '--trust-proxy',
  '--log-level',
  '--dev',
];
/** What `up` refuses: it is one hub, which serves all. */
const ofGroups = ['SERVE', 'WORKERS', '--serve', '--workers'];
const upFlags = hubFlags.filter((flag) => !ofGroups.includes(flag));
const tokenFiles = ['AGENT_TOKENS_FILE', 'DASHBOARD_TOKENS_FILE', 'ADMIN_TOKENS_FILE'];
const agentFlags = [
  ...['--hub', '--node-id', '--hostname', '--label', '--kind', '--location', '--role', '--pool', '--address'],
  ...['--port', '--interval', '--config', '--deregister-on-exit', '--log-level'],
];
const watchFlags = [
  ...['--hub', '--status', '--kind', '--label', '--location', '--pool', '--q', '--json', '--once'],
];

const simulateFlags = [
  ...[
    '--hub',
    '--agents',
    '--profile',
    '--duration',
    '--rate',
    '--interval',
    '--stats',
    '--prefix',
    '--racks',
  ],
  ...['--seed', '--from', '--every', '--away', '--share', '--latency', '--jitter', '--watch-dashboard'],
  ...['--deregister', '--json', '--yes', 'AGENT_TOKEN', 'AGENT_TOKEN_FILE', 'DASHBOARD_TOKEN'],
];

describe.concurrent('what a command says of itself', () => {
  test.each([
    ['hub', [...hubFlags, ...HUB_SETTINGS, ...tokenFiles]],
    [
      'up',
      [...upFlags, '--simulate', ...HUB_SETTINGS.filter((name) => !ofGroups.includes(name)), ...tokenFiles],
    ],
    ['agent', [...agentFlags, 'AGENT_TOKEN', 'HUB_URL', 'NODE_LABELS', 'AGENT_CONFIG']],
    ['watch', [...watchFlags, 'NO_COLOR']],
    ['simulate', simulateFlags],
  ])('[CLI-1] %s --help names every flag and every variable, on stdout', async (command, words) => {
    const { code, stdout, stderr } = await programs.finish([command, '--help']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(new RegExp(`^Usage: rollcall ${command} `));
    const known = new Set(stdout.match(/--[a-z][a-z-]*|[A-Z][A-Z0-9_]+[A-Z]/g));
    expect(words.filter((word) => !known.has(word))).toEqual([]);
  });

  test('[CLI-1] up --help offers nothing that up refuses', async () => {
    const { stdout } = await programs.finish(['up', '--help']);
    for (const word of ofGroups) expect(stdout).not.toMatch(new RegExp(`(?<![A-Z-])${word}\\b`));
  });

  test('[CLI-1] the list of commands says of each what its own help says', async () => {
    for (const { name, description, load } of COMMANDS) {
      const command = await load();
      expect([command.name(), command.description()]).toEqual([name, description]);
    }
  });

  test.each(['--agent-tokens', '--dashboard-tokens', '--admin-tokens'])(
    '[CLI-1] no flag takes a token: %s',
    async (flag) => {
      const { code, stderr } = await programs.finish(['hub', flag, 'secret-token']);
      expect([code, stderr]).toEqual([2, expect.stringContaining(`unknown option '${flag}'`)]);
    },
  );

  test('[CLI-1] rollcall --help names every command', async () => {
    const { code, stdout } = await programs.finish(['--help']);
    expect(code).toBe(0);
    for (const command of ['up', 'hub', 'agent', 'watch', 'nodes', 'hubs', 'simulate'])
      expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
  });

  test('[CLI-2] --version is that of the package', async () => {
    expect(await programs.finish(['--version'])).toMatchObject({
      code: 0,
      stdout: `${VERSION}\n`,
      stderr: '',
    });
  });

  test.each([[[]], [['nonsense']], [['hub', 'extra']], [['up', '--simulate', '9001']], [['up', '--port']]])(
    '[CLI-3] wrong usage is told on stderr, exit 2: rollcall %j',
    async (args) => {
      const { code, stdout, stderr } = await programs.finish(args);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toMatch(/^(error: |Usage: )/);
    },
  );
});

describe.concurrent('settings that are wrong', () => {
  test.each([
    [['hub', '--port', '99999'], { PORT: '1' }, /^rollcall: PORT: "99999"/],
    [['hub', '--log-level', 'inf'], {}, /^rollcall: LOG_LEVEL: "inf" is none of .*did you mean info\?/],
    [['agent', '--hub', ''], { HUB_URL: 'ws://127.0.0.1:1' }, /^rollcall: --hub must not be empty/],
    [['agent', '--role', ''], {}, /^rollcall: --role must not be empty/],
    [['simulate', '--hub', ''], {}, /^rollcall: --hub must not be empty/],
    [['hub'], { AGENT_TOKENS_FILE: '/nowhere' }, /^rollcall: AGENT_TOKENS_FILE: cannot read \/nowhere/],
    [['hub', '--workers', '2'], {}, /^rollcall: WORKERS: 2 workers need a REDIS_URL/],
    [['hub'], { SERVE: 'agents' }, /^rollcall: SERVE: agents needs a REDIS_URL/],
    [['up'], { WORKERS: '2', REDIS_URL: 'redis://a' }, /^rollcall: SERVE and WORKERS are for rollcall hub/],
    [['up'], { HEARTBEAT_INTERVAL: '20s' }, /^rollcall: HEARTBEAT_TIMEOUT \(30s\) must be at least/],
  ])('[CLI-4] are one line on stderr, exit 2: %j %j', async (args, env, line) => {
    const { code, stdout, stderr } = await programs.finish(args, env);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(line);
    expect(stderr.trimEnd()).not.toContain('\n');
  });

  test('[CLI-4] a taken port is one of them', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const address = taken.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const { code, stdout, stderr } = await programs.finish(['up', '--port', String(port)]);
    taken.close();
    expect([code, stdout, stderr]).toEqual([
      2,
      '',
      expect.stringMatching(`^rollcall: ${port} is in use; try PORT=\\d+\n$`),
    ]);
  });

  test('[CLI-5] a Redis that is not there is one line, exit 1, without its password', async () => {
    const env = { REDIS_URL: 'redis://:hush-hush@127.0.0.1:1' };
    const { code, stdout, stderr } = await programs.finish(['hub', '--port', '0'], env);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^rollcall: Redis at 127\.0\.0\.1:1 cannot be reached.*\n$/);
    expect(stderr).not.toContain('hush');
  });
});

describe('flags and environment', () => {
  test('[CLI-6] flags win over variables, --dev too, and over --dev', () => {
    expect(hubSettings({}, { PORT: '81', LOG_LEVEL: 'warn' })).toMatchObject({ PORT: 81, LOG_LEVEL: 'warn' });
    expect(hubSettings({ port: '82' }, { PORT: '81' })).toMatchObject({ PORT: 82 });
    expect(hubSettings({ trustProxy: true }, {})).toMatchObject({ TRUST_PROXY: true });
    const dev = { HEARTBEAT_INTERVAL: 1_000, HEARTBEAT_TIMEOUT: 3_000, LOG_LEVEL: 'debug' };
    expect(hubSettings({ dev: true }, {})).toMatchObject(dev);
    expect(hubSettings({ dev: true, heartbeatTimeout: '9s' }, {})).toMatchObject({
      HEARTBEAT_TIMEOUT: 9_000,
    });
  });

  test('[CLI-6] every setting but the tokens has a flag', () => {
    const named: Record<string, string> = {
      ...{ HOST: 'localhost', PORT: '1', REDIS_URL: 'redis://a', KEY_PREFIX: 'p', SHARDS: '2' },
      ...{ SERVE: 'agents', WORKERS: '3' },
      ...{ HEARTBEAT_INTERVAL: '1s', HEARTBEAT_TIMEOUT: '5s', ALLOWED_ORIGINS: 'https://a' },
      ...{ MAX_HEARTBEATS_PER_SECOND: '500', HEARTBEAT_INTERVAL_MAX: '20s' },
      ...{ TRUST_PROXY: 'true', LOG_LEVEL: 'error', DIALECTS: 'gpu-node', DIALECT_TIMING: 'gpu-node=1s/3s' },
      ...{ OPEN_DIALECTS: 'fleet-manager@10.0.0.0/8' },
      ...{ ADMIT_PER_SECOND: '9', MAX_HANDSHAKES: '8', MAX_NODES: '7', DOCS: 'false' },
    };
    const without = HUB_SETTINGS.filter((name) => !(name in named));
    expect(without).toEqual(['AGENT_TOKENS', 'DASHBOARD_TOKENS', 'ADMIN_TOKENS']);
    const camel = (name: string) =>
      name.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
    const flags = Object.fromEntries(Object.entries(named).map(([name, value]) => [camel(name), value]));
    expect(hubSettings(flags, {})).toEqual(hubSettings({}, named));
  });
});
