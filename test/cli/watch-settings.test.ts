import { describe, expect, test } from 'vitest';
import { UsageError } from '../../cli/usage-error.ts';
import { readHubUrl, readWatchSettings } from '../../cli/watch/settings.ts';

describe('the settings of watch', () => {
  test.each([
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
    ['https://hub.example/', 'https://hub.example'],
    ['ws://127.0.0.1:8080/agent', 'http://127.0.0.1:8080'],
    ['wss://hub.example/agent/', 'https://hub.example'],
    ['wss://proxy.example/fleet/agent', 'https://proxy.example/fleet'],
    ['hub-2:9090', 'http://hub-2:9090'],
    ['http://hub.example/socket.io/', 'http://hub.example'],
    ['http://[::1]:8080', 'http://[::1]:8080'],
  ])('%s is the hub at %s', (given, url) => {
    expect(readHubUrl(given)).toBe(url);
  });

  test.each(['', 'ftp://hub', 'http://', 'http://user:secret@hub', 'http://hub:99999'])(
    '%s is no address of a hub',
    (given) => {
      expect(() => readHubUrl(given)).toThrow(UsageError);
    },
  );

  test('flags become the filter; the token and the hub come from the environment', () => {
    const flags = {
      status: ['offline,unreachable'],
      kind: ['gpu', 'edge'],
      label: ['zone=a', 'note=x=y'],
      location: 'here',
      q: 'web',
    };
    const env = { DASHBOARD_TOKEN: 'secret', ROLLCALL_URL: 'ws://hub:1/agent' };
    expect(readWatchSettings(flags, env)).toEqual({
      hubUrl: 'http://hub:1',
      token: 'secret',
      json: false,
      once: false,
      filter: {
        status: ['offline', 'unreachable'],
        kind: ['gpu', 'edge'],
        labels: { zone: 'a', note: 'x=y' },
        location: 'here',
        q: 'web',
      },
    });
    expect(readWatchSettings({}, { ROLLCALL_TOKEN: 'mine', DASHBOARD_TOKEN: 'other' })).toMatchObject({
      token: 'mine',
      hubUrl: 'http://127.0.0.1:8080',
      filter: {},
    });
  });

  test.each([
    [{ status: ['asleep'] }, /--status/],
    [{ label: ['zone'] }, /--label.*key=value/],
    [{ label: ['__proto__=a'] }, /--label/],
    [{ q: '' }, /--q/],
  ])('%j is a usage error that names the flag', (flags, message) => {
    expect(() => readWatchSettings(flags, {})).toThrow(message);
  });
});
