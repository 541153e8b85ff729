import { describe, expect, test } from 'vitest';
import { sharedTokens, Tokens } from '../../server/edge/tokens.ts';

describe('a list of tokens', () => {
  const tokens = new Tokens(
    [
      'plain-token',
      'ops:ops-token-1',
      'a:short',
      '1st:has-a-colon',
      'Ab.c_d-9:other-token',
      'x:y:z-long-one',
    ],
    (place) => `token ${place}`,
  );
  test.each([
    ['plain-token', 'token 1'],
    ['ops-token-1', 'ops'],
    // What has had a colon all along goes on working.
    ['ops:ops-token-1', 'ops'],
    // Too short for a token behind a name: the whole is the token.
    ['a:short', 'token 3'],
    ['short', undefined],
    // No name begins with a digit.
    ['1st:has-a-colon', 'token 4'],
    ['has-a-colon', undefined],
    ['other-token', 'Ab.c_d-9'],
    ['y:z-long-one', 'x'],
    ['z-long-one', undefined],
    ['ops', undefined],
    ['', undefined],
  ])('[AUTH-11] %j is of %j', (given, name) => {
    expect(tokens.find(given)?.name).toBe(name);
    expect(tokens.find(given)?.by).toBe(name === undefined ? undefined : 'token');
  });

  test('[AUTH-11] two tokens of one name, as while one is rotated', () => {
    const rotated = new Tokens(['ops:old-token-1', 'ops:new-token-1']);
    expect([rotated.find('old-token-1'), rotated.find('new-token-1')]).toMatchObject([
      { name: 'ops' },
      { name: 'ops' },
    ]);
  });
});

test('[AUTH-13] lists that share a token are named, and no token is', () => {
  expect(
    sharedTokens({
      AGENT_TOKENS: ['a:same-token-1', 'agent-token'],
      DASHBOARD_TOKENS: ['b:same-token-1'],
      ADMIN_TOKENS: ['admin-token-1'],
    }),
  ).toEqual(['AGENT_TOKENS and DASHBOARD_TOKENS']);
  expect(sharedTokens({ A: ['one-token-1'], B: ['x:one-token-1'], C: ['one-token-1'] })).toHaveLength(3);
  expect(sharedTokens({ A: ['one-token-1'], B: ['two-token-1'] })).toEqual([]);
});
