import { availableParallelism } from 'node:os';
import { describe, expect, test } from 'vitest';
import { DIALECT_TIMING } from '../../server/edge/dialects.ts';
import { type Environment, HUB_SETTINGS, readHubSettings, SettingsError } from '../../server/settings.ts';

const noFiles = (path: string): string => {
  throw new Error(`ENOENT: no such file, open '${path}'`);
};
const read = (environment: Environment, readFile = noFiles) => readHubSettings(environment, readFile);

/** The one line that says what is wrong. */
function wrong(environment: Environment, readFile = noFiles): string {
  try {
    read(environment, readFile);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    expect(error.message).not.toMatch(/[\r\n]/);
    return error.message;
  }
  throw new Error('the settings were accepted');
}

const tokens = { AGENT_TOKENS: 'agent-secret', DASHBOARD_TOKENS: 'reader-secret' };

describe('the settings of a hub', () => {
  test('[SET-1] nothing has to be set', () => {
    expect(read({})).toEqual({
      HOST: '127.0.0.1',
      PORT: 8080,
      KEY_PREFIX: 'fleet',
      SHARDS: 16,
      SERVE: 'all',
      WORKERS: 1,
      HEARTBEAT_INTERVAL: 10_000,
      HEARTBEAT_TIMEOUT: 30_000,
      ADMIT_PER_SECOND: 5_000,
      MAX_HANDSHAKES: 20_000,
      MAX_NODES: 100_000,
      HEARTBEAT_INTERVAL_MAX: 60_000,
      AGENT_TOKENS: [],
      DASHBOARD_TOKENS: [],
      ADMIN_TOKENS: [],
      DIALECTS: ['connect', 'gpu-node', 'fleet-manager', 'game-host'],
      OPEN_DIALECTS: new Map(),
      DIALECT_TIMING,
      ALLOWED_ORIGINS: [],
      TRUST_PROXY: false,
      DOCS: true,
      LOG_LEVEL: 'info',
    });
  });

  test('[SET-1] an empty value is none', () => {
    const empty = Object.fromEntries(HUB_SETTINGS.map((name) => [name, '']));
    expect(
      read({ ...empty, AGENT_TOKENS_FILE: '', DASHBOARD_TOKENS_FILE: '', ADMIN_TOKENS_FILE: '' }),
    ).toEqual(read({}));
  });

  const right: Array<[string, string, unknown]> = [
    ['HOST', 'localhost', 'localhost'],
    ['HOST', '127.0.0.2', '127.0.0.2'],
    ['HOST', '::1', '::1'],
    ['HOST', '[::1]', '::1'],
    ['PORT', '0', 0],
    ['PORT', '65535', 65_535],
    ['REDIS_URL', 'redis://127.0.0.1', 'redis://127.0.0.1'],
    ['REDIS_URL', 'rediss://u:p@a:6379,b:6379', 'rediss://u:p@a:6379,b:6379'],
    ['REDIS_URL', 'redis+sentinel://a:26379,b/mymaster', 'redis+sentinel://a:26379,b/mymaster'],
    ['KEY_PREFIX', 'prod:eu_1', 'prod:eu_1'],
    ['SHARDS', '1', 1],
    ['SHARDS', '1024', 1_024],
    ['SERVE', 'all', 'all'],
    ['WORKERS', '1', 1],
    ['HEARTBEAT_INTERVAL', '100ms', 100],
    ['HEARTBEAT_TIMEOUT', '24h', 86_400_000],
    ['ADMIT_PER_SECOND', '1', 1],
    ['MAX_HANDSHAKES', '1000000', 1_000_000],
    ['MAX_NODES', '1', 1],
    ['MAX_HEARTBEATS_PER_SECOND', '5000', 5_000],
    ['HEARTBEAT_INTERVAL_MAX', '10m', 600_000],
    ['AGENT_TOKENS', ' one-token , two-token,', ['one-token', 'two-token']],
    ['DASHBOARD_TOKENS', 'x'.repeat(512), ['x'.repeat(512)]],
    ['ADMIN_TOKENS', 'one-token,two-token', ['one-token', 'two-token']],
    ['DIALECTS', 'none', []],
    ['DIALECTS', 'game-host, gpu-node', ['gpu-node', 'game-host']],
    [
      'DIALECT_TIMING',
      'connect=100ms/24h',
      { ...DIALECT_TIMING, connect: { intervalMs: 100, timeoutMs: 86_400_000 } },
    ],
    [
      'ALLOWED_ORIGINS',
      'https://a.example,http://b.example:8443/',
      ['https://a.example', 'http://b.example:8443/'],
    ],
    ['DOCS', 'no', false],
    ['TRUST_PROXY', 'true', true],
    ['TRUST_PROXY', '1', true],
    ['TRUST_PROXY', 'YES', true],
    ['TRUST_PROXY', 'no', false],
    ['TRUST_PROXY', '0', false],
    ['LOG_LEVEL', 'silent', 'silent'],
  ];
  test.each(right)('[SET-2] %s=%s', (name, value, expected) => {
    expect(read({ [name]: value })).toHaveProperty(name, expected);
  });

  test('[SET-10] several hubs, and hubs of one role, need a fleet that is not in memory', () => {
    const REDIS_URL = 'redis://a';
    expect(read({ SERVE: 'agents', WORKERS: '256', REDIS_URL })).toMatchObject({
      SERVE: 'agents',
      WORKERS: 256,
    });
    expect(read({ WORKERS: 'auto', REDIS_URL }).WORKERS).toBe(availableParallelism());
    for (const role of ['agents', 'dashboards']) {
      expect(wrong({ SERVE: role })).toMatch(new RegExp(`^SERVE: ${role} needs a REDIS_URL: `));
    }
    expect(wrong({ WORKERS: '2' })).toMatch(/^WORKERS: 2 workers need a REDIS_URL: /);
  });

  const rubbish: Array<[string, string[]]> = [
    ['HOST', ['a b', 'http://x', 'a/b', ' ', '[', 'a\nb']],
    ['PORT', ['-1', '65536', '80.5', '0x50', 'http', ' 80', '1e3', '']],
    [
      'REDIS_URL',
      ['127.0.0.1:6379', 'http://a', 'redis://', 'redis://a/x', 'redis://a:99999', 'redis+sentinel://a'],
    ],
    ['KEY_PREFIX', ['{a}', ':a', 'a b', 'a'.repeat(65), 'ä']],
    ['SHARDS', ['0', '3', '2048', '-16', '16.0', 'many']],
    ['SERVE', ['agent', 'ALL', 'agents,dashboards', 'none']],
    ['WORKERS', ['0', '-1', '257', '2.5', 'many', 'AUTO', '1e2', ' 2']],
    ['HEARTBEAT_INTERVAL', ['10', '10 s', '-1s', '1.5s', '10S', '99ms', '11m', '0s', 'soon', '1s1s']],
    ['HEARTBEAT_TIMEOUT', ['30', '25h', 'never', '30sec', '']],
    ['ADMIT_PER_SECOND', ['0', '-1', '1.5', 'all']],
    ['MAX_HANDSHAKES', ['1', '1000001', 'all']],
    ['MAX_NODES', ['0', '100000001', '1e5']],
    ['MAX_HEARTBEATS_PER_SECOND', ['0', '-1', '1.5', '5k', '100000001', 'off']],
    ['HEARTBEAT_INTERVAL_MAX', ['60', '99ms', '11m', 'never']],
    [
      'AGENT_TOKENS',
      ['short', 'has space in it', ',', ' , ', 'good-token,bad', 'x'.repeat(513), 'tökentöken'],
    ],
    ['DASHBOARD_TOKENS', ['1234567', '\n,\n']],
    ['ADMIN_TOKENS', ['short', ',', 'good-token,bad', 'x'.repeat(513)]],
    ['DIALECTS', ['005', 'gpu-node;connect', 'all', 'gpu-node,nothing', '0', 'Connect']],
    [
      'OPEN_DIALECTS',
      [
        ...['005', 'none', 'connect@', 'connect@10.0.0.0/33', 'connect@fleet.example', '@10.0.0.0/8'],
        'connect@::/129',
      ],
    ],
    [
      'DIALECT_TIMING',
      [
        ...['connect', 'connect=30s', 'connect=30s/', '005=1s/3s', '=1s/3s', 'connect=10s/29999ms'],
        ...['connect=10/30', 'connect=99ms/3s', 'connect=11m/1h', 'connect=10s/25h', 'connect=-1s/3s'],
        ...['connect=1s/3s;gpu-node=1s/3s', 'connect=1s/3s/9s', 'connect=30s/90s,gpu-node=soon/never'],
      ],
    ],
    ['ALLOWED_ORIGINS', ['fleet.example.com', '*', 'https://a/b', 'ws://a', 'https://']],
    ['TRUST_PROXY', ['maybe', '2', 'on']],
    ['DOCS', ['maybe', '2', 'on']],
    ['LOG_LEVEL', ['loud', 'INFO', '30']],
  ];
  const wrongValues = rubbish.flatMap(([name, values]) =>
    values.filter((value) => value !== '').map((value): [string, string] => [name, value]),
  );
  test.each(wrongValues)('[SET-3] %s=%j is refused in one line that names it', (name, value) => {
    expect(wrong({ [name]: value })).toMatch(new RegExp(`^${name}\\b.{10,200}$`));
  });

  test('[SET-3] a wrong choice is told what there is, and what was meant', () => {
    expect(wrong({ LOG_LEVEL: 'INFO' })).toBe(
      'LOG_LEVEL: "INFO" is none of trace, debug, info, warn, error, fatal, silent; did you mean info?',
    );
  });

  test('[SET-3] every setting has a wrong value above', () => {
    expect(rubbish.map(([name]) => name)).toEqual(HUB_SETTINGS);
  });

  test('[SET-4] no token, and no password of a Redis, stands in the line', () => {
    for (const environment of [
      { AGENT_TOKENS: 'hush-hush, secret word' },
      { DASHBOARD_TOKENS: 'hush' },
      { ADMIN_TOKENS: 'hush-hush, secret word' },
      { REDIS_URL: 'redis://user:hush@host:99999' },
      { REDIS_URL: 'http://user:hush@host' },
      { REDIS_URL: 'redis://user:hush%zz@host' },
      { REDIS_URL: 'redis+sentinel://user:hush@host' },
    ]) {
      expect(wrong(environment)).not.toContain('hush');
    }
  });

  test('[SET-5] the timeout is at least three intervals', () => {
    expect(wrong({ HEARTBEAT_INTERVAL: '11s' })).toBe(
      'HEARTBEAT_TIMEOUT (30s) must be at least 3 x HEARTBEAT_INTERVAL (11s)',
    );
    expect(wrong({ HEARTBEAT_TIMEOUT: '29999ms' })).toMatch(/^HEARTBEAT_TIMEOUT \(29999ms\)/);
    expect(read({ HEARTBEAT_INTERVAL: '1s', HEARTBEAT_TIMEOUT: '3s' })).toMatchObject({
      HEARTBEAT_INTERVAL: 1_000,
      HEARTBEAT_TIMEOUT: 3_000,
    });
  });

  describe('an interval that grows with the fleet', () => {
    const limit = { MAX_HEARTBEATS_PER_SECOND: '5000' };

    test('[SET-11] has a shortest one of at least a second, and a longest one that is no shorter', () => {
      expect(wrong({ ...limit, HEARTBEAT_INTERVAL: '999ms' })).toBe(
        'MAX_HEARTBEATS_PER_SECOND: needs a HEARTBEAT_INTERVAL (999ms) of at least 1s',
      );
      expect(wrong({ ...limit, HEARTBEAT_INTERVAL_MAX: '9s' })).toBe(
        'HEARTBEAT_INTERVAL_MAX (9s) must be at least HEARTBEAT_INTERVAL (10s)',
      );
      expect(read({ ...limit, HEARTBEAT_INTERVAL: '1s', HEARTBEAT_INTERVAL_MAX: '1s' })).toMatchObject({
        MAX_HEARTBEATS_PER_SECOND: 5_000,
        HEARTBEAT_INTERVAL_MAX: 1_000,
      });
    });

    test('[SET-11] has a longest timeout of at most a day', () => {
      const day = { ...limit, HEARTBEAT_TIMEOUT: '4h' };
      expect(wrong({ ...day, HEARTBEAT_INTERVAL_MAX: '61s' })).toBe(
        'HEARTBEAT_INTERVAL_MAX (61s): the timeout that belongs to it, in the ratio 4h : 10s, is over 24h',
      );
      expect(read({ ...day, HEARTBEAT_INTERVAL_MAX: '60s' })).toMatchObject({
        HEARTBEAT_TIMEOUT: 14_400_000,
      });
    });

    test('[SET-11] asks for nothing where there is no limit', () => {
      expect(read({ HEARTBEAT_INTERVAL: '10m', HEARTBEAT_TIMEOUT: '30m' })).toBeDefined();
      expect(read({ HEARTBEAT_INTERVAL: '100ms' })).toBeDefined();
    });
  });

  test.each([
    '0.0.0.0',
    '::',
    '[::]',
    '192.0.2.1',
    'fleet.example',
    '127.0.0.1.example',
    'localhost.example',
  ])('[SET-6] off loopback (%s) both lists of tokens are required', (HOST) => {
    expect(wrong({ HOST })).toMatch(/^HOST: .*AGENT_TOKENS is not set$/);
    expect(wrong({ HOST, AGENT_TOKENS: tokens.AGENT_TOKENS })).toMatch(/DASHBOARD_TOKENS is not set$/);
    expect(wrong({ HOST, DASHBOARD_TOKENS: tokens.DASHBOARD_TOKENS })).toMatch(/; AGENT_TOKENS is not set$/);
    expect(read({ HOST, ...tokens }).AGENT_TOKENS).toEqual(['agent-secret']);
  });

  describe('tokens from a file', () => {
    const file = (content: string) => (path: string) => {
      expect(path).toBe('/run/secrets/agents');
      return content;
    };
    const environment = { AGENT_TOKENS_FILE: '/run/secrets/agents' };

    test.each(['one-token\ntwo-token\n', 'one-token,two-token', '\r\none-token\r\ntwo-token'])(
      '[SET-7] commas and lines separate: %j',
      (content) => {
        expect(read(environment, file(content)).AGENT_TOKENS).toEqual(['one-token', 'two-token']);
      },
    );

    test.each(['', '\n', ' , '])(
      '[SET-7] a file that holds none (%j) opens nothing: it is refused',
      (content) => {
        expect(wrong(environment, file(content))).toBe('AGENT_TOKENS_FILE: is set, but holds no token');
      },
    );

    test('[SET-7] those of administrators too', () => {
      expect(read({ ADMIN_TOKENS_FILE: '/run/secrets/agents' }, file('one-token\n')).ADMIN_TOKENS).toEqual([
        'one-token',
      ]);
      expect(wrong({ ADMIN_TOKENS_FILE: '/nowhere' })).toMatch(/^ADMIN_TOKENS_FILE: cannot read \/nowhere/);
    });

    test('[SET-7] one that cannot be read is named, with its path', () => {
      expect(wrong({ DASHBOARD_TOKENS_FILE: '/nowhere' })).toMatch(
        /^DASHBOARD_TOKENS_FILE: cannot read \/nowhere: ENOENT/,
      );
    });

    test('[SET-7] value and file at once are refused, since one of them would be ignored', () => {
      expect(wrong({ ...environment, AGENT_TOKENS: 'other-token' }, file('one-token'))).toMatch(
        /^AGENT_TOKENS: AGENT_TOKENS_FILE is set too/,
      );
    });
  });
});
