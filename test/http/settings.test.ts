import { get } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { DIALECT_TIMING, type DialectName, Networks, parseOpenDialects } from '../../server/edge/dialects.ts';
import { startHub } from '../../server/hub.ts';
import { silentLog } from '../../server/runtime/log.ts';
import { type Environment, type HubSettings, readHubSettings } from '../../server/settings.ts';
import { startHubProcess } from '../support/hub-process.ts';
import { until } from '../support/until.ts';

const read = (environment: Environment) => readHubSettings({ PORT: '0', ...environment }, () => '');

describe('settings of the HTTP face', () => {
  const ends: Array<() => Promise<unknown>> = [];
  afterEach(async () => {
    await Promise.all(ends.splice(0).map((end) => end()));
  });

  it("[DIALECT-27] every dialect is on, with its protocol's own timing", () => {
    const settings = read({});
    expect(settings.DIALECTS).toEqual(['connect', 'gpu-node', 'fleet-manager', 'game-host']);
    expect(settings.OPEN_DIALECTS.size).toBe(0);
    expect(settings.DIALECT_TIMING).toEqual({
      connect: { intervalMs: 30_000, timeoutMs: 90_000 },
      'gpu-node': { intervalMs: 10_000, timeoutMs: 30_000 },
      'fleet-manager': { intervalMs: 60_000, timeoutMs: 180_000 },
      'game-host': { intervalMs: 60_000, timeoutMs: 180_000 },
    });
  });

  it('[DIALECT-28] wrong names, networks and timings are one clear line', () => {
    expect(read({ DIALECTS: 'none' }).DIALECTS).toEqual([]);
    expect(() => read({ DIALECTS: '005' })).toThrow(
      'DIALECTS: "005" is no dialect: write connect, gpu-node,',
    );
    expect(() => read({ OPEN_DIALECTS: 'fleet-manager@office' })).toThrow(
      'OPEN_DIALECTS: "fleet-manager@office" names no network',
    );
    expect(() => read({ OPEN_DIALECTS: 'fleet-manager@10.0.0.0/33' })).toThrow('names no network');
    expect(() => read({ DIALECT_TIMING: 'game-host=60s/30s' })).toThrow(
      'DIALECT_TIMING: "game-host=60s/30s" is no timing: the timeout must be at least 3 x the interval',
    );
    const fast = read({ DIALECT_TIMING: 'game-host=10s/30s, gpu-node=1s/3s' }).DIALECT_TIMING;
    expect(fast['game-host']).toEqual({ intervalMs: 10_000, timeoutMs: 30_000 });
    expect(fast['gpu-node']).toEqual({ intervalMs: 1_000, timeoutMs: 3_000 });
    expect(fast.connect).toEqual({ intervalMs: 30_000, timeoutMs: 90_000 });
  });

  it.each<[Environment, Partial<HubSettings>, string]>([
    [
      { DIALECTS: '002,004' },
      { DIALECTS: ['connect', 'game-host'] },
      'DIALECTS: write connect,game-host instead of 002,004',
    ],
    [
      { OPEN_DIALECTS: '001, fleet-manager@fd00::003' },
      {},
      'OPEN_DIALECTS: write gpu-node, fleet-manager@fd00::003 instead of 001, fleet-manager@fd00::003',
    ],
    [
      { DIALECT_004_TIMEOUT: '30s', DIALECT_004_INTERVAL: '10s' },
      { DIALECT_TIMING: { ...DIALECT_TIMING, 'game-host': { intervalMs: 10_000, timeoutMs: 30_000 } } },
      'DIALECT_004_INTERVAL and DIALECT_004_TIMEOUT: write DIALECT_TIMING=game-host=10s/30s instead',
    ],
    [
      { DIALECT_000_TIMEOUT: '2m', DIALECT_TIMING: 'gpu-node=1s/3s' },
      {
        DIALECT_TIMING: {
          ...DIALECT_TIMING,
          connect: { intervalMs: 30_000, timeoutMs: 120_000 },
          'gpu-node': { intervalMs: 1_000, timeoutMs: 3_000 },
        },
      },
      'DIALECT_000_INTERVAL and DIALECT_000_TIMEOUT: write DIALECT_TIMING=connect=30s/2m instead',
    ],
    [
      { DIALECT_001_INTERVAL: '1s', DIALECT_TIMING: 'gpu-node=2s/6s' },
      { DIALECT_TIMING: { ...DIALECT_TIMING, 'gpu-node': { intervalMs: 2_000, timeoutMs: 6_000 } } },
      'DIALECT_001_INTERVAL and DIALECT_001_TIMEOUT: write DIALECT_TIMING=gpu-node=1s/30s instead',
    ],
  ])(
    '[DIALECT-31] what version 0.1 wrote is read, with a warning that says what to write: %j',
    (environment, settings, warning) => {
      const warnings: string[] = [];
      const result = readHubSettings(
        environment,
        () => '',
        (line) => warnings.push(line),
      );
      expect(result).toMatchObject(settings);
      expect(warnings).toEqual([expect.stringContaining(warning)]);
    },
  );

  it('[DIALECT-31] what version 0.1 wrote wrong is refused by its own name, and nothing else is warned of', () => {
    expect(() => read({ DIALECT_004_TIMEOUT: '30s' })).toThrow(
      'DIALECT_004_TIMEOUT (30s) must be at least 3 x DIALECT_004_INTERVAL (1m)',
    );
    expect(() => read({ DIALECT_001_INTERVAL: '10' })).toThrow(/^DIALECT_001_INTERVAL: /);
    const warnings: string[] = [];
    readHubSettings(
      { DIALECTS: 'gpu-node', DIALECT_TIMING: 'gpu-node=1s/3s', DIALECT_000_TIMEOUT: '' },
      () => '',
      (line) => warnings.push(line),
    );
    expect(warnings).toEqual([]);
  });

  it('[DIALECT-29] networks: IPv4 and IPv6, single addresses, everywhere', () => {
    const open = parseOpenDialects([
      ...['fleet-manager@10.0.0.0/8', 'fleet-manager@2001:db8::/32', 'game-host@192.0.2.7', 'connect'],
    ]);
    const has = (name: DialectName, address: string) => open.get(name)?.has(address);
    const fleetManager = ['10.9.8.7', '11.0.0.1', '2001:db8::1'].map((address) =>
      has('fleet-manager', address),
    );
    expect(fleetManager).toEqual([true, false, true]);
    expect([has('game-host', '192.0.2.7'), has('game-host', '192.0.2.8')]).toEqual([true, false]);
    expect(has('connect', '203.0.113.1')).toBe(true);
    expect(new Networks().has('10.0.0.1')).toBe(false);
  });

  it('[DIALECT-30] a hub with open dialects says so when it starts', async () => {
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (_fields: object, message: string) => void warnings.push(message) };
    const hub = await startHub(read({ OPEN_DIALECTS: 'fleet-manager@10.0.0.0/8' }), { log });
    ends.push(() => hub.stop());
    expect(warnings.filter((warning) => warning.startsWith('OPEN_DIALECTS'))).toHaveLength(1);
  });

  it('[API-27] a hub with open event streams and idle connections is gone within its promise after SIGTERM', async () => {
    const hub = await startHubProcess({});
    let ended = false;
    let opened = false;
    get(`${hub.url}/api/v1/events`, { headers: { accept: 'text/event-stream' } }, (response) => {
      opened = true;
      response.on('close', () => {
        ended = true;
      });
      response.on('error', () => {});
      response.resume();
    });
    await until('the stream is open', () => opened);
    expect((await fetch(`${hub.url}/api/v1/nodes`)).status).toBe(200);
    expect(await hub.terminate()).toBe(0);
    await until('the stream ended', () => ended);
  });
});
