import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { Access, type AccessRules, bearer, type Verdict } from '../../server/access.ts';
import type { Principal } from '../../server/principal.ts';

const access = (rules: Partial<AccessRules> = {}) =>
  new Access({ agentTokens: [], dashboardTokens: [], allowedOrigins: [], trustProxy: false, ...rules });

function request(headers: IncomingMessage['headers']): IncomingMessage {
  const message = new IncomingMessage(new Socket());
  Object.assign(message.headers, headers);
  return message;
}

const said = (answer: Principal | Verdict) => (typeof answer === 'string' ? answer : 'ok');

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
    expect(said(locked.agent(token))).toBe(verdict);
  });

  test.each([
    ['reader-1', 'ok'],
    ['both', 'ok'],
    ['agent-new', 'forbidden'],
    ['reader', 'wrong'],
    [undefined, 'missing'],
  ])('[AUTH-1] a reader with the token %j: %s', (token, verdict) => {
    expect(said(locked.dashboard(token))).toBe(verdict);
  });

  test('[AUTH-1] without a list any token will do, and none', () => {
    const agentsOpen = access({ dashboardTokens: ['reader-1'] });
    expect(agentsOpen.agent(undefined)).toEqual({ by: 'none' });
    expect(agentsOpen.agent('anything')).toEqual({ by: 'none' });
    expect(agentsOpen.dashboard(undefined)).toBe('missing');
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

describe('where a client is', () => {
  test.each([
    ['203.0.113.7', '203.0.113.7'],
    ['203.0.113.7, 10.0.0.1', '203.0.113.7'],
    [' 2001:db8::1 ,10.0.0.1', '2001:db8::1'],
    ['x'.repeat(500), 'x'.repeat(64)],
    ['', 'unknown'],
    [undefined, 'unknown'],
  ])('[AUTH-5] behind a trusted proxy X-Forwarded-For: %j means %s', (forwarded, expected) => {
    const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
    expect(access({ trustProxy: true }).remoteAddress(request(headers))).toBe(expected);
  });

  test('[AUTH-5] without one the header is not believed', () => {
    expect(access().remoteAddress(request({ 'x-forwarded-for': '203.0.113.7' }))).toBe('unknown');
  });
});
