import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { Access, type AccessRules, bearer, type TokenFault } from '../../server/edge/access.ts';
import { readNetworks } from '../../server/edge/client-address.ts';
import type { Networks } from '../../server/edge/dialects.ts';
import { Refusals } from '../../server/edge/refusals.ts';
import { acceptAbsoluteForm, requestFault } from '../../server/edge/request-faults.ts';
import type { Principal } from '../../server/rules/principal.ts';
import { systemClock } from '../../server/runtime/clock.ts';
import { silentLog } from '../../server/runtime/log.ts';

const access = (rules: Partial<AccessRules> = {}) =>
  new Access(
    { agentTokens: [], dashboardTokens: [], allowedOrigins: [], trustProxy: false, ...rules },
    { clock: systemClock, refusals: new Refusals(systemClock, silentLog), known: () => {} },
  );

function request(headers: IncomingMessage['headers']): IncomingMessage {
  const message = new IncomingMessage(new Socket());
  Object.assign(message.headers, headers);
  return message;
}

const said = (answer: Principal | TokenFault) => (typeof answer === 'string' ? answer : 'ok');

describe('tokens', () => {
  const locked = access({ agentTokens: ['agent-old', 'agent-new'], dashboardTokens: ['reader-1', 'both'] });

  test.each([
    ['agent-old', 'ok'],
    ['agent-new', 'ok'],
    ['reader-1', 'forbidden'],
    ['agent-ol', 'wrong'],
    ['agent-old ', 'wrong'],
    ['AGENT-OLD', 'wrong'],
    ['', 'wrong'],
    [undefined, 'missing'],
  ])('[AUTH-1] an agent with the token %j: %s', (token, verdict) => {
    expect(said(locked.principalOf('agent', token))).toBe(verdict);
  });

  test.each([
    ['reader-1', 'ok'],
    ['both', 'ok'],
    ['agent-new', 'forbidden'],
    ['reader', 'wrong'],
    [undefined, 'missing'],
  ])('[AUTH-1] a reader with the token %j: %s', (token, verdict) => {
    expect(said(locked.principalOf('reader', token))).toBe(verdict);
  });

  test('[AUTH-1] without a list any token will do, and none', () => {
    const agentsOpen = access({ dashboardTokens: ['reader-1'] });
    expect(agentsOpen.principalOf('agent', undefined)).toEqual({ by: 'none' });
    expect(agentsOpen.principalOf('agent', 'anything')).toEqual({ by: 'none' });
    expect(agentsOpen.principalOf('reader', undefined)).toBe('missing');
  });

  test.each([
    ['Bearer abc', 'abc'],
    ['bearer   abc', 'abc'],
    ['BEARER a.b-c_~+/=', 'a.b-c_~+/='],
    ['Basic abc', undefined],
    ['Bearer', undefined],
    ['Bearer ', undefined],
    ['Bearer a b', undefined],
    ['abc', undefined],
    [undefined, undefined],
  ])('[AUTH-2] Authorization: %j carries %j', (authorization, token) => {
    expect(bearer(request(authorization === undefined ? {} : { authorization }))).toBe(token);
  });
});

describe('hosts', () => {
  const local = ['localhost', 'LOCALHOST:8080', '127.0.0.1', '127.0.0.1:8080', '[::1]', '[::1]:8080'];
  const foreign = [
    'evil.example',
    'localhost.evil.example',
    'evil.example:8080',
    '127.0.0.1.evil.example',
    'localhost:8080:8080',
    'localhost@evil.example',
    '192.168.0.1',
    '0.0.0.0',
    '',
  ];
  const oneList = { agentTokens: ['agent-old'] };
  const bothLists = { ...oneList, dashboardTokens: ['reader-1'] };

  test.each(local)('[AUTH-3] an open hub answers to %s', (host) => {
    expect(access().hostAllowed(request({ host }))).toBe(true);
    expect(access(oneList).hostAllowed(request({ host }))).toBe(true);
  });

  test.each(foreign)('[AUTH-3] an open hub does not answer to %j, a hub with tokens does', (host) => {
    expect(access().hostAllowed(request({ host }))).toBe(false);
    expect(access(oneList).hostAllowed(request({ host }))).toBe(false);
    expect(access(bothLists).hostAllowed(request({ host }))).toBe(true);
  });

  test('[AUTH-3] an open hub does not answer without a Host', () => {
    expect(access().hostAllowed(request({}))).toBe(false);
  });
});

describe('origins', () => {
  const listed = access({ allowedOrigins: ['https://Ops.example/', 'http://lab.example:3000'] });
  const from = (origin: string | undefined, host = 'hub.example:8080') =>
    listed.originAllowed(request({ host, ...(origin !== undefined && { origin }) }));

  test.each([
    undefined,
    'https://ops.example',
    'HTTPS://OPS.EXAMPLE',
    'http://lab.example:3000',
    'http://hub.example:8080',
    'https://hub.example:8080',
    'https://ops.example:443',
  ])('[AUTH-4] the origin %j may connect', (origin) => {
    expect(from(origin)).toBe(true);
  });

  test.each([
    'null',
    '',
    'https://evil.example',
    'http://ops.example',
    'https://ops.example:8443',
    'https://ops.example.evil.example',
    'http://lab.example',
    'http://hub.example',
    'file://',
  ])('[AUTH-4] the origin %j may not', (origin) => {
    expect(from(origin)).toBe(false);
  });
});

test.each<[string, string, boolean]>([
  ['http://hub.example', 'hub.example:80', true],
  ['https://hub.example', 'hub.example:443', true],
  ['https://hub.example:443', 'hub.example', true],
  ['http://hub.example', 'hub.example:443', false],
  ['null', 'null', false],
  ['http://user@hub.example', 'hub.example', false],
  ['ftp://hub.example', 'hub.example', false],
])('[AUTH-4] from %s to the Host %s: %s', (origin, host, allowed) => {
  expect(access().originAllowed(request({ origin, host }))).toBe(allowed);
});

describe('where a client is', () => {
  const via = (
    peer: string | undefined,
    headers: IncomingMessage['headers'],
    trustProxy: boolean | Networks,
  ) => {
    const message = request(headers);
    Object.defineProperty(message.socket, 'remoteAddress', { value: peer });
    const asked = access({ trustProxy });
    return [asked.remoteAddress(message), asked.peerAddress(message)];
  };
  const proxies = readNetworks(['192.0.2.0/24', '2001:db8::/32']) ?? false;

  test.each<[string, string]>([
    ['203.0.113.7', '203.0.113.7'],
    ['203.0.113.7, 192.0.2.2', '203.0.113.7'],
    ['1.1.1.1, 203.0.113.7, 192.0.2.2', '203.0.113.7'],
    ['203.0.113.7:5678', '203.0.113.7'],
    ['[2001:DB9::1]:123', '2001:db9::1'],
    ['2001:db9::1', '2001:db9::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['[::ffff:cb00:7107]:80', '203.0.113.7'],
    ['192.0.2.3, 192.0.2.2', '192.0.2.3'],
    ['unknown', 'unknown'],
    ['_hidden', 'unknown'],
    ['203.0.113.7, rubbish', 'unknown'],
    ['203.0.113.7,', 'unknown'],
    ['203.0.113.7:80:80', 'unknown'],
    ['x'.repeat(500), 'unknown'],
    ['rubbish, 203.0.113.7', '203.0.113.7'],
    [' ', '192.0.2.1'],
  ])('[AUTH-5] X-Forwarded-For: %j means %s', (list, expected) => {
    expect(via('192.0.2.1', { 'x-forwarded-for': list }, proxies)).toEqual([expected, expected]);
  });

  test.each<[string, string]>([
    ['for=203.0.113.7', '203.0.113.7'],
    ['for="203.0.113.7:80";proto=https;by=192.0.2.1', '203.0.113.7'],
    ['For="[2001:db9::1]:4711"', '2001:db9::1'],
    ['for=1.1.1.1, for=203.0.113.7, proto=http;for=192.0.2.2', '203.0.113.7'],
    ['for=unknown', 'unknown'],
    ['for="_gazonk"', 'unknown'],
    ['proto=https', 'unknown'],
  ])('[AUTH-5] Forwarded: %j means %s', (forwarded, expected) => {
    expect(via('192.0.2.1', { forwarded }, proxies)).toEqual([expected, expected]);
  });

  test('[AUTH-5] two headers that disagree mean nobody', () => {
    const headers = { 'x-forwarded-for': '203.0.113.7', forwarded: 'for=10.0.0.1' };
    expect(via('192.0.2.1', headers, proxies)).toEqual(['unknown', 'unknown']);
    expect(via('192.0.2.1', { ...headers, forwarded: 'for="203.0.113.7:80"' }, proxies)[0]).toBe(
      '203.0.113.7',
    );
  });

  test.each<[string | undefined, boolean | Networks, string]>([
    ['203.0.113.9', proxies, '203.0.113.9'],
    ['203.0.113.9', true, '203.0.113.9'],
    ['192.0.2.1', false, '192.0.2.1'],
    ['::ffff:192.0.2.1', false, '192.0.2.1'],
    [undefined, proxies, 'unknown'],
  ])('[AUTH-5] the words of %s, with %s, are not believed', (peer, trust, expected) => {
    const headers = { 'x-forwarded-for': '198.51.100.1', forwarded: 'for=198.51.100.1' };
    expect(via(peer, headers, trust)).toEqual([expected, expected]);
  });

  test('[AUTH-5] with any private proxy, the nearest alone proves an address', () => {
    const headers = { 'x-forwarded-for': '10.1.1.1, 10.2.2.2' };
    for (const peer of ['127.0.0.1', '::1', '::ffff:10.0.0.1', '192.168.1.1', '172.20.0.1', 'fd00::1'])
      expect(via(peer, headers, true)).toEqual(['10.1.1.1', '10.2.2.2']);
  });
});

describe('requests that are none', () => {
  const fault = (rawHeaders: string[]) => {
    const message = request({});
    message.rawHeaders = rawHeaders;
    for (let at = 0; at < rawHeaders.length; at += 2)
      message.headers[(rawHeaders[at] ?? '').toLowerCase()] ??= rawHeaders[at + 1];
    return requestFault(message);
  };

  test.each(['hub.example', 'HUB.example:8080', 'hub.example.', 'a_b', '[::1]:80', '127.0.0.1', 'h:', ''])(
    '[AUTH-14] Host: %j is fine',
    (host) => {
      expect(fault(['Host', host])).toBeUndefined();
    },
  );

  test.each(['user@localhost', 'localhost:abc', 'localhost:999999', 'a b', 'a/b', '[::1', 'a,b', 'a:80:80'])(
    '[AUTH-14] Host: %j is not',
    (host) => {
      expect(fault(['Host', host])).toContain('Host');
    },
  );

  test('[AUTH-14] nor are two of them, or two tokens', () => {
    expect(fault(['Host', 'a', 'hOST', 'a'])).toBe('there are two Host headers');
    expect(fault(['Host', 'a', 'Authorization', 'x', 'authorization', 'x'])).toContain('Authorization');
  });

  test.each([
    ['http://other.example:81/api/v1/nodes?q=a', 'other.example:81', '/api/v1/nodes?q=a'],
    ['HTTP://other.example', 'other.example', '/'],
    ['https://other.example?q=a', 'other.example', '/?q=a'],
    ['/http://a/b', 'hub.example', '/http://a/b'],
    ['*', 'hub.example', '*'],
  ])('[AUTH-14] the target %s is %s and %s', (url, host, path) => {
    const message = request({ host: 'hub.example' });
    message.url = url;
    acceptAbsoluteForm(message);
    expect([message.headers.host, message.url]).toEqual([host, path]);
  });
});
