import { describe, expect, it } from 'vitest';
import {
  type AgentSettings,
  readAgentSettings,
  SettingsError,
  type SettingsSources,
} from '../../agent/config/settings.ts';

/** The problems of these sources, one line each. */
function problemsOf(sources: SettingsSources): readonly string[] {
  try {
    readAgentSettings(sources);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
}

const files = (contents: Record<string, string>) => (path: string) => {
  const content = contents[path];
  if (content === undefined) throw new Error(`ENOENT: no such file or directory, open '${path}'`);
  return content;
};

describe('readAgentSettings', () => {
  it('has defaults', () => {
    expect(readAgentSettings({})).toEqual({
      hubUrl: ['ws://127.0.0.1:8080/agent'],
      labels: {},
      roles: [],
      pools: [],
      deregisterOnExit: false,
      logLevel: 'info',
    });
  });

  it('reads the environment', () => {
    const env = {
      HUB_URL: 'http://hub-1:8080, wss://hub-2/agent',
      AGENT_TOKEN: 'secret',
      NODE_ID: 'node-1',
      NODE_HOSTNAME: 'host-1',
      NODE_LABELS: 'zone=us-east-1a, rack=rack-42,url=a=b',
      NODE_KIND: 'gpu',
      NODE_LOCATION: 'office-floor-2',
      NODE_ROLES: 'compute,storage',
      NODE_POOLS: 'pool-0',
      NODE_CAPABILITIES: '{"gpuCount":2}',
      NODE_CAPACITY: 'maxServers=20,tier=gold',
      NODE_METADATA: '{"gateway":"nanoclaw-pi-01"}',
      NODE_ADDRESS: '10.0.0.1:9090',
      NODE_PORT: '9090',
      HEARTBEAT_INTERVAL: '10',
      DEREGISTER_ON_EXIT: 'true',
      LOG_LEVEL: 'debug',
    };
    expect(readAgentSettings({ env })).toEqual({
      hubUrl: ['ws://hub-1:8080/agent', 'wss://hub-2/agent'],
      token: 'secret',
      nodeId: 'node-1',
      hostname: 'host-1',
      labels: { zone: 'us-east-1a', rack: 'rack-42', url: 'a=b' },
      kind: 'gpu',
      location: 'office-floor-2',
      roles: ['compute', 'storage'],
      pools: ['pool-0'],
      capabilities: { gpuCount: 2 },
      capacity: { maxServers: 20, tier: 'gold' },
      metadata: { gateway: 'nanoclaw-pi-01' },
      address: '10.0.0.1:9090',
      port: 9090,
      heartbeatInterval: 10_000,
      deregisterOnExit: true,
      logLevel: 'debug',
    } satisfies AgentSettings);
  });

  it('reads a YAML file', () => {
    const readFile = files({
      '/etc/agent.yaml': [
        'hubUrl: [https://hub-1.example, https://hub-2.example]',
        'tokenFile: /run/token',
        'nodeId: my-node-01',
        'labels: { zone: a, rack: 42, spare: true }',
        'roles: [compute]',
        'capabilities: [dht22, mqtt]',
        'capacity: { maxServers: 20 }',
        'port: 9090',
        'heartbeatInterval: 30',
        'kind:',
      ].join('\n'),
      '/run/token': 'secret\n',
    });
    expect(readAgentSettings({ env: { AGENT_CONFIG: '/etc/agent.yaml' }, readFile })).toMatchObject({
      hubUrl: ['wss://hub-1.example/agent', 'wss://hub-2.example/agent'],
      token: 'secret',
      nodeId: 'my-node-01',
      labels: { zone: 'a', rack: '42', spare: 'true' },
      roles: ['compute'],
      capabilities: ['dht22', 'mqtt'],
      capacity: { maxServers: 20 },
      port: 9090,
      heartbeatInterval: 30_000,
    });
    expect(
      readAgentSettings({ flags: { config: '/empty' }, readFile: files({ '/empty': '' }) }).labels,
    ).toEqual({});
  });

  it('[FACT-1] text is what stands in the file, whatever YAML would make of it', () => {
    const words = [
      ...['0012', '1.10', '1.0', '1e3', '0x10', '0o17', '12:30:00', '2026-11-28', 'yes', 'no', 'on', 'off'],
      ...['true', 'False', '.5', '+1', '-0', '9007199254740993', '1e400', '.inf', '.nan', '1_000'],
    ];
    const labels = words.map((word, index) => `  l${index}: ${word}`).join('\n');
    const file = `nodeId: 0012\nhostname: 1.10\nkind: no\nlocation: 0x10\nroles: [1.10, 007]\naddress: 12:30:00\nlabels:\n${labels}\n  1.10: key`;
    expect(readAgentSettings({ flags: { config: '/f' }, readFile: files({ '/f': file }) })).toMatchObject({
      nodeId: '0012',
      hostname: '1.10',
      kind: 'no',
      location: '0x10',
      roles: ['1.10', '007'],
      address: '12:30:00',
      labels: { ...Object.fromEntries(words.map((word, index) => [`l${index}`, word])), '1.10': 'key' },
    });
  });

  it('[FACT-1] where any JSON is allowed, a number that would lose its digits stays text', () => {
    const file = [
      'metadata: { version: 1.10, serial: 0012, big: 9007199254740993, count: 20, share: 0.5, ok: true, none: ~ }',
      'capacity: { maxServers: 20, 1.10: 1e3 }',
      'capabilities: [1.0, 12]',
    ].join('\n');
    expect(readAgentSettings({ flags: { config: '/f' }, readFile: files({ '/f': file }) })).toMatchObject({
      metadata: {
        version: '1.10',
        serial: '0012',
        big: '9007199254740993',
        count: 20,
        share: 0.5,
        ok: true,
        none: null,
      },
      capacity: { maxServers: 20, '1.10': '1e3' },
      capabilities: ['1.0', 12],
    });
    const env = {
      NODE_LABELS: 'v=1.10,n=0012',
      NODE_CAPACITY: 'maxServers=20,release=1.10,serial=007,big=12345678901234567890',
    };
    expect(readAgentSettings({ env })).toMatchObject({
      labels: { v: '1.10', n: '0012' },
      capacity: { maxServers: 20, release: '1.10', serial: '007', big: '12345678901234567890' },
    });
  });

  it('[FACT-1] a value that is null is not set, and no label can be', () => {
    const empty = files({ '/f': 'kind: ~\nlocation: null\nnodeId:', '/g': 'labels: { zone: ~ }' });
    expect(readAgentSettings({ flags: { config: '/f' }, readFile: empty })).not.toHaveProperty('kind');
    expect(problemsOf({ flags: { config: '/g' }, readFile: empty })).toEqual([
      expect.stringMatching(/^\/g: labels\.zone: /),
    ]);
  });

  it('[FACT-1] JSON of a variable that would lose digits is an error that names them', () => {
    expect(problemsOf({ env: { NODE_METADATA: '{"a":{"serial":9007199254740993}}' } })).toEqual([
      expect.stringMatching(/^NODE_METADATA\.a\.serial: .*digits/),
    ]);
  });

  it('prefers flags to the environment, that to the file, and takes an empty variable for unset', () => {
    const readFile = files({ '/f': 'kind: file\nlocation: file\nhostname: file\nlabels: { a: file }' });
    const env = { NODE_KIND: 'env', NODE_LOCATION: 'env', NODE_HOSTNAME: '', NODE_LABELS: 'b=env' };
    const flags = { config: '/f', kind: 'flag', labels: ['c=flag', 'd=1'] };
    expect(readAgentSettings({ flags, env, readFile })).toMatchObject({
      kind: 'flag',
      location: 'env',
      hostname: 'file',
      labels: { c: 'flag', d: '1' },
    });
  });

  it.each([
    ['10', 10_000],
    ['10s', 10_000],
    ['500ms', 500],
    ['10m', 600_000],
  ])('reads an interval of %s', (HEARTBEAT_INTERVAL, expected) => {
    expect(readAgentSettings({ env: { HEARTBEAT_INTERVAL } }).heartbeatInterval).toBe(expected);
  });

  it('reads a comma list of capabilities', () => {
    expect(readAgentSettings({ env: { NODE_CAPABILITIES: 'dht22, mqtt' } }).capabilities).toEqual([
      'dht22',
      'mqtt',
    ]);
  });

  it('reads the token from a file, which wins over the YAML file', () => {
    const readFile = files({ '/run/token': 'from-file\n', '/f': 'token: from-yaml' });
    const env = { AGENT_TOKEN_FILE: '/run/token', AGENT_CONFIG: '/f' };
    expect(readAgentSettings({ env, readFile }).token).toBe('from-file');
    expect(readAgentSettings({ env: { AGENT_CONFIG: '/f' }, readFile }).token).toBe('from-yaml');
  });

  it('takes no token from a flag', () => {
    const flags: Record<string, unknown> = { token: 'typed' };
    expect(readAgentSettings({ flags }).token).toBeUndefined();
  });

  it.each<[string, string, RegExp]>([
    ['HUB_URL', 'ftp://hub', /"ftp:\/\/hub" is not a hub/],
    ['HUB_URL', ',', /must name a hub/],
    ['AGENT_TOKEN', 'two words', /printable ASCII/],
    ['NODE_ID', 'a b', /letters, digits/],
    ['NODE_HOSTNAME', 'x'.repeat(254), /253/],
    ['NODE_LABELS', 'zone', /"zone" is not key=value/],
    ['NODE_LABELS', '-x=1', /letters, digits/],
    ['NODE_KIND', 'a\u0007b', /control characters/],
    ['NODE_CAPABILITIES', '{"gpuCount":', /not valid JSON/],
    ['NODE_CAPACITY', '[1]', /JSON object/],
    ['NODE_CAPACITY', 'many', /key=value/],
    ['NODE_METADATA', '"text"', /JSON object/],
    ['NODE_PORT', '0', /1 to 65535/],
    ['NODE_PORT', '65536', /1 to 65535/],
    ['NODE_PORT', 'http', /1 to 65535/],
    ['HEARTBEAT_INTERVAL', '0', /1ms to 10m/],
    ['HEARTBEAT_INTERVAL', '11m', /1ms to 10m/],
    ['HEARTBEAT_INTERVAL', '1.5', /not a duration/],
    ['HEARTBEAT_INTERVAL', '-5', /not a duration/],
    ['DEREGISTER_ON_EXIT', 'maybe', /true or false/],
    ['LOG_LEVEL', 'loud', /debug, info/],
    ['AGENT_CONFIG', '/missing', /cannot read \/missing/],
    ['AGENT_TOKEN_FILE', '/missing', /cannot read \/missing/],
  ])('names %s=%s in one line', (name, value, message) => {
    const problems = problemsOf({ env: { [name]: value }, readFile: files({}) });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(message);
    expect(problems[0]?.startsWith(name)).toBe(true);
    expect(problems[0]).not.toContain('\n');
  });

  it('names each of several, by the name under which it was given', () => {
    const readFile = files({ '/f': 'kind: [1]\nlable: { a: b }\nport: 0' });
    const problems = problemsOf({
      flags: { config: '/f', heartbeatInterval: 'soon' },
      env: { NODE_ID: '?' },
      readFile,
    });
    expect(problems.map((line) => line.replace(/^((?:\/f: )?[^:]+).*$/, '$1')).sort()).toEqual([
      '--interval',
      '/f: kind',
      '/f: lable',
      '/f: port',
      'NODE_ID',
    ]);
  });

  it('refuses two tokens, and never prints one', () => {
    const readFile = files({ '/run/token': 'bad token', '/f': '- a' });
    expect(problemsOf({ env: { AGENT_TOKEN: 'x', AGENT_TOKEN_FILE: '/run/token' }, readFile })).toEqual([
      'AGENT_TOKEN_FILE: AGENT_TOKEN is set too; set one of them',
    ]);
    const problems = problemsOf({ env: { AGENT_TOKEN_FILE: '/run/token' }, readFile });
    expect(problems).toEqual(['AGENT_TOKEN_FILE: must be printable ASCII without spaces']);
    expect(problemsOf({ env: { AGENT_TOKEN_FILE: '/f', AGENT_CONFIG: '/f' }, readFile })[0]).toMatch(
      /must hold settings/,
    );
  });

  it('names the file whose YAML is broken', () => {
    const problems = problemsOf({
      flags: { config: '/f' },
      readFile: files({ '/f': 'labels: {a: b\nkind: [' }),
    });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^AGENT_CONFIG: cannot read \/f: /);
    expect(problems[0]).not.toContain('\n');
  });
});
