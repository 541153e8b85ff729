import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { planText, progressText, summaryText } from '../../cli/simulate/report.ts';
import { readSimulateSettings, type SimulateFlags } from '../../cli/simulate/settings.ts';
import { sourceAddresses } from '../../cli/simulate/source-addresses.ts';
import { UsageError } from '../../cli/usage-error.ts';
import type { Summary } from '../../simulate/summary.ts';
import { Programs } from '../support/program.ts';
import { TestHubs } from '../support/test-hub.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());
const programs = new Programs();
afterAll(() => programs.end());

const read = (flags: SimulateFlags, env: Record<string, string> = {}, openFiles?: number) =>
  readSimulateSettings(flags, env, openFiles);

describe('the settings of simulate', () => {
  test('nothing has to be set', () => {
    const { options, json, dashboard } = read({});
    expect(options).toMatchObject({
      ...{ hubUrls: ['ws://127.0.0.1:8080/agent'], agents: 100, racks: 20, prefix: 'sim', statsShare: 1 },
      ...{ connectsPerSecond: 200, durationMs: 60_000, localAddresses: [], end: 'goodbye' },
      profile: { name: 'steady' },
    });
    expect([json, dashboard, options.token, options.intervalMs]).toEqual([
      false,
      ...Array(3).fill(undefined),
    ]);
  });

  test('flags, variables and the numbers of the profile', () => {
    const { options, dashboard } = read(
      {
        ...{
          hub: ['http://localhost:1, ws://127.0.0.9:2/x'],
          agents: '5000',
          profile: 'rack-loss',
          rate: '500/s',
        },
        ...{
          duration: '2m',
          interval: '10s',
          stats: '50%',
          prefix: 'a',
          racks: '7',
          seed: '42',
          from: '::1',
        },
        ...{ every: '30s', watchDashboard: true, deregister: true },
      },
      { AGENT_TOKEN: 'for-agents', DASHBOARD_TOKEN: 'for-readers' },
    );
    expect(options).toMatchObject({
      ...{ hubUrls: ['ws://localhost:1/agent', 'ws://127.0.0.9:2/x'], agents: 5_000, racks: 7, prefix: 'a' },
      ...{ connectsPerSecond: 500, durationMs: 120_000, intervalMs: 10_000, statsShare: 0.5, seed: 42 },
      ...{ localAddresses: ['::1'], token: 'for-agents', end: 'deregister' },
      numbers: { everyMs: 30_000, awayMs: 5_000 },
    });
    expect(dashboard).toEqual({ hubUrl: 'http://localhost:1', token: 'for-readers' });
  });

  test.each<[SimulateFlags, RegExp]>([
    [{ agents: '0' }, /^--agents: must be from 1/],
    [{ agents: '1e3' }, /^--agents: must be a whole number/],
    [{ profile: 'chaos' }, /^--profile: there is no "chaos"; there are steady, flapping, /],
    [{ duration: '60' }, /^--duration: "60" is not a duration/],
    [{ duration: '10ms' }, /^--duration: must be at least 1s/],
    [{ rate: '5/m' }, /^--rate: must be a whole number/],
    [{ interval: '11m' }, /^--interval: must be from 1ms to 10m/],
    [{ stats: '2' }, /^--stats: must be at most 1/],
    [{ prefix: '-x' }, /^--prefix: /],
    [{ seed: '-1' }, /^--seed: /],
    [{ profile: 'flapping', share: '0' }, /^--share: must be more than 0/],
    [{ away: '3s' }, /^--away: the profile steady does not use it/],
    [{ profile: 'slow-network', every: '3s' }, /^--every: the profile slow-network does not use it/],
    [{ hub: ['ftp://hub'] }, /^--hub: "ftp:\/\/hub" is not a hub's address/],
    [{ hub: ['ws://user:pw@127.0.0.1'] }, /^--hub: the address of 127\.0\.0\.1 must not hold a name/],
    [{ from: 'here' }, /^--from: "here" is no address/],
  ])('%j is a usage error that names the flag', (flags, message) => {
    expect(() => read(flags)).toThrow(UsageError);
    expect(() => read(flags)).toThrow(message);
  });

  test('[SIM-3] another machine needs --yes, also one among several', () => {
    const hub = ['ws://127.0.0.1:8080,wss://hub.example'];
    expect(() => read({ hub })).toThrow(/^hub\.example is not this machine: say --yes/);
    expect(() => read({ hub: ['ws://127.0.0.1.example'] })).toThrow(/--yes/);
    expect(read({ hub, yes: true }).options.hubUrls).toHaveLength(2);
    for (const here of ['ws://localhost:1', 'ws://127.9.9.9', 'ws://[::1]:8080']) read({ hub: [here] });
  });

  test('[SIM-5] more agents than files may be opened is refused, and says how many may be', () => {
    expect(() => read({ agents: '1000' }, {}, 1_024)).toThrow(/may open 1024 files .* enough for 924 agents/);
    expect(read({ agents: '924' }, {}, 1_024).options.agents).toBe(924);
  });

  test('[SIM-3] a token may come from a file, and from nowhere else', () => {
    const folder = mkdtempSync(join(tmpdir(), 'simulate-'));
    const file = join(folder, 'token');
    writeFileSync(file, 'from-a-file\n');
    expect(read({}, { AGENT_TOKEN_FILE: file }).options.token).toBe('from-a-file');
    expect(() => read({}, { AGENT_TOKEN_FILE: file, AGENT_TOKEN: 'x' })).toThrow(/not both/);
    rmSync(folder, { recursive: true });
    expect(() => read({}, { AGENT_TOKEN_FILE: file })).toThrow(/^AGENT_TOKEN_FILE: cannot read/);
    expect(() => read({}, { AGENT_TOKEN: 'two words' })).toThrow(/^AGENT_TOKEN must be/);
  });

  test.each([
    ['127.0.0.2', ['127.0.0.2']],
    ['127.0.0.254-127.0.1.1', ['127.0.0.254', '127.0.0.255', '127.0.1.0', '127.0.1.1']],
    ['10.0.0.1, ::1,10.0.0.3-10.0.0.4', ['10.0.0.1', '::1', '10.0.0.3', '10.0.0.4']],
  ])('--from %s', (text, addresses) => {
    expect(sourceAddresses(text)).toEqual(addresses);
  });

  test.each(['', 'a-b', '10.0.0.2-10.0.0.1', '::1-::2', '10.0.0.1-10.0.0.2-10.0.0.3', '10.0.0.0-10.0.1.0'])(
    '--from %s is refused',
    (text) => {
      expect(() => sourceAddresses(text)).toThrow(UsageError);
    },
  );
});

describe('the command', () => {
  test('[SIM-8] runs, tells its plan and its progress, and ends with 0 and a summary', async () => {
    const hub = await hubs.start();
    const args = ['simulate', '--hub', hub.url, '--agents', '20', '--duration', '1s', '--json'];
    const { code, stdout, stderr } = await programs.finish(args);
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { agents: 20, registeredAtEnd: 20, wrong: [] }]);
    expect(stderr).toMatch(/^Simulating 20 agents, sim-1 to sim-20, in 20 racks, at ws:\/\/127\.0\.0\.1:/);
  });

  test('[SIM-9] SIGINT ends it with its summary', async () => {
    const hub = await hubs.start();
    const program = programs.run(['simulate', '--hub', hub.url, '--agents', '5', '--duration', '1h']);
    await hub.nodeThat('sim-5', ({ status }) => status === 'online');
    program.signal('SIGINT');
    expect(await program.exit).toEqual({ code: 0, signal: null });
    expect(program.stdout).toMatch(/ended by a signal.*registered at the end +5 of 5.*All is well\.\n$/s);
    await hub.nodeThat('sim-5', ({ reason }) => reason === 'agent_stopped');
  });

  test('[SIM-4] a hub that lets nobody in is one line, exit 3', async () => {
    const hub = await hubs.start({
      settings: { AGENT_TOKENS: 'right-token', DASHBOARD_TOKENS: 'other-token' },
    });
    const { code, stdout, stderr } = await programs.finish(['simulate', '--hub', hub.url], {
      AGENT_TOKEN: 'wrong-token',
    });
    expect([code, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(/\nrollcall: ws:\/\/127\.0\.0\.1:\d+\/agent lets no agent in: .*HTTP 401\n$/);
    expect(stderr).not.toContain('wrong-token');
  });
});

test('plan, progress and summary are whole sentences of numbers', () => {
  const { options } = read({ agents: '1', profile: 'rack-loss', seed: '1' });
  const plan = planText(options);
  expect(plan).toContain('Simulating 1 agent, sim-1, in 1 rack,');
  expect(plan).toContain('every 20s the next rack is cut off');
  const none = { count: 0, p50: 0, p99: 0, max: 0 };
  const line = progressText({
    ...{ phase: 'running', elapsedMs: 12_345, agents: 10, registered: 9, beatsPerSecond: 3, pong: none },
    ...{ reconnects: 1, missed: 2, refusals: { 'HTTP 503': 4 }, drops: { 1006: 1 }, failures: {} },
  });
  expect(line).toContain('9/10 registered  3 beats/s');
  expect(line).toContain('refused: HTTP 503 4  lost: 1006 1  2 pongs missing');
  const summary: Summary = {
    ...{ profile: 'rack-loss', hubs: [], agents: 10, prefix: 'sim', seed: 1, elapsedMs: 61_000 },
    ...{ interrupted: false, heartbeat: null, registeredAtEnd: 9, removedAtEnd: 0, notDeregistered: 0 },
    ...{ registrations: 20, reconnects: 10, registering: none, returning: none, pong: none },
    beats: { sent: 9, withStats: 1, answered: 8, missed: 1 },
    ...{ cuts: 10, drops: {}, refusals: {}, failures: {}, errors: {}, moreDisruptions: 3 },
    disruptions: [{ what: 'rack-1 cut off', agents: 10, nearlyAllMs: 250, allMs: null }],
    dashboard: { changes: 4, falseOffline: 0, unreachable: { count: 1, p50: 1, p99: 2, max: 3 }, resyncs: 0 },
    late: { count: 9, p50: 1, p99: 2, max: 900 },
    wrong: ['1 agent is not registered at the end'],
  };
  const text = summaryText(summary);
  expect(text).toMatch(/rack-1 cut off +10 +0\.25 s +never\nand 3 more\n/);
  expect(text).toContain('p50 1 ms, p99 2 ms, max 3 ms');
  expect(text).toContain('stood still for up to 900 ms');
  expect(text).toMatch(/What went wrong:\n {2}- 1 agent is not registered at the end\n$/);
});
