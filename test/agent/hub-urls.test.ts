import { describe, expect, it } from 'vitest';
import { FleetAgentError } from '../../agent/session/errors.ts';
import { HubUrls, toAgentUrl } from '../../agent/session/hub-urls.ts';
import { readHubUrl } from '../../cli/hub-access.ts';
import { UsageError } from '../../cli/usage-error.ts';

describe('toAgentUrl', () => {
  it.each([
    ['http://hub:8080', 'ws://hub:8080/agent'],
    ['https://hub.example/', 'wss://hub.example/agent'],
    ['ws://127.0.0.1:8080/agent', 'ws://127.0.0.1:8080/agent'],
    ['ws://127.0.0.1:8080', 'ws://127.0.0.1:8080/agent'],
    ['wss://hub.example/fleet/agent?x=1', 'wss://hub.example/fleet/agent?x=1'],
    ['http://[::1]:8080', 'ws://[::1]:8080/agent'],
    ['https://hub.example/fleet', 'wss://hub.example/fleet/agent'],
    ['http://hub.example/fleet/', 'ws://hub.example/fleet/agent'],
    ['https://hub.example/fleet/agent', 'wss://hub.example/fleet/agent'],
    ['ws://hub.example/own', 'ws://hub.example/own'],
    ['hub', 'ws://hub/agent'],
    ['hub:8080', 'ws://hub:8080/agent'],
    ['localhost:4430', 'ws://localhost:4430/agent'],
    ['[::1]:8080/agent', 'ws://[::1]:8080/agent'],
    ['hub.example:443', 'wss://hub.example/agent'],
    ['hub.example:443/fleet', 'wss://hub.example/fleet/agent'],
  ])('takes %s as %s', (given, expected) => {
    expect(toAgentUrl(given)).toBe(expected);
  });

  it.each(['', ':8080', 'hub:port', 'mailto:hub', 'ftp://hub', 'http://'])(
    'refuses %j, and says what to write',
    (given) => {
      expect(() => toAgentUrl(given)).toThrow(/write it as ws:\/\//);
    },
  );

  it('refuses a password, and does not repeat it', () => {
    expect(() => toAgentUrl('http://me:hunter2@hub')).toThrow(/name or password/);
    expect(() => toAgentUrl('http://me:hunter2@hub')).not.toThrow(/hunter2/);
  });
});

describe('an address with a secret in it', () => {
  it.each(['me:s3cret@', 'http://me:s3cret@', 'ftp://me:s3cret@hub', 'me:s3cret@hub:port'])(
    '%s is refused without showing it',
    (text) => {
      expect(() => toAgentUrl(text)).toThrow(FleetAgentError);
      expect(() => toAgentUrl(text)).not.toThrow(/s3cret/);
      expect(() => readHubUrl(text)).toThrow(UsageError);
      expect(() => readHubUrl(text)).not.toThrow(/s3cret/);
    },
  );
});

describe('HubUrls', () => {
  const urls = ['a', 'b', 'c'];
  const sequence =
    (...values: number[]) =>
    () =>
      values.shift() ?? 0;

  it('tries each once per round', () => {
    const hubs = new HubUrls(urls, Math.random);
    for (let round = 0; round < 20; round += 1) {
      expect([hubs.next(), hubs.next(), hubs.next()].sort()).toEqual(urls);
    }
  });

  it('goes round in a random order of its own', () => {
    const hubs = new HubUrls(urls, sequence(0.9, 0.9, 0));
    expect([hubs.next(), hubs.next(), hubs.next()]).toEqual(['c', 'b', 'a']);
    expect([hubs.next(), hubs.next(), hubs.next()]).toEqual(['c', 'b', 'a']);
    expect(hubs.size).toBe(3);
  });

  it('never tries the same one twice in a row, where there is another', () => {
    const hubs = new HubUrls(urls, Math.random);
    let last = hubs.next();
    for (let attempt = 0; attempt < 200; attempt += 1) {
      const next = hubs.next();
      expect(next).not.toBe(last);
      last = next;
    }
  });

  it('is content with one', () => {
    const hubs = new HubUrls(['a', 'a'], Math.random);
    expect([hubs.next(), hubs.next(), hubs.next()]).toEqual(['a', 'a', 'a']);
  });
});
