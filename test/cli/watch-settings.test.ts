import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readHubAccess, readHubUrl } from '../../cli/hub-access.ts';
import { UsageError } from '../../cli/usage-error.ts';
import { readWatchSettings } from '../../cli/watch/settings.ts';

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

  test('[NODES-10] flags take comma lists, values with a comma, and statuses in any case', () => {
    const flags = {
      status: ['OFFLINE,Online'],
      kind: ['gpu\\,big,edge', 'web'],
      label: ['note=a\\,b,zone=z'],
    };
    expect(readWatchSettings(flags, {}).filter).toEqual({
      status: ['offline', 'online'],
      kind: ['gpu,big', 'edge', 'web'],
      labels: { note: 'a,b', zone: 'z' },
    });
  });

  test('[CLI-13] the token comes from ROLLCALL_TOKEN or a file, never from both', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'rollcall-')), 'token');
    writeFileSync(file, ' from-file\n');
    const access = (env: Record<string, string>) => readHubAccess(undefined, env);
    expect(access({ ROLLCALL_TOKEN_FILE: file, DASHBOARD_TOKEN: 'other' })).toMatchObject({
      token: 'from-file',
    });
    expect(() => access({ ROLLCALL_TOKEN: 'a', ROLLCALL_TOKEN_FILE: file })).toThrow(/set one of them/);
    expect(() => access({ ROLLCALL_TOKEN_FILE: `${file}-2` })).toThrow(/ROLLCALL_TOKEN_FILE: cannot read/);
    expect(() => access({ ROLLCALL_TOKEN: 'two words' })).toThrow(/one token/);
    writeFileSync(file, '');
    expect(() => access({ ROLLCALL_TOKEN_FILE: file })).toThrow(UsageError);
    rmSync(dirname(file), { recursive: true });
  });

  test.each([
    [{ status: ['asleep'] }, /--status: "asleep" is none of online, degraded, unreachable, offline$/],
    [{ status: ['offlin'] }, /; did you mean offline\?/],
    [{ status: [''] }, /--status must not be empty/],
    [{ label: ['zone'] }, /--label.*key=value/],
    [{ label: ['__proto__=a'] }, /--label/],
    [{ q: '' }, /--q/],
  ])('%j is a usage error that names the flag', (flags, message) => {
    expect(() => readWatchSettings(flags, {})).toThrow(message);
  });
});
