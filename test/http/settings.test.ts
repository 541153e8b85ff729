import { get } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { Networks, parseOpenDialects } from '../../server/edge/dialects.ts';
import { startHub } from '../../server/hub.ts';
import { silentLog } from '../../server/runtime/log.ts';
import { dialectTimingOf, type Environment, readHubSettings } from '../../server/settings.ts';
import { startHubProcess } from '../support/hub-process.ts';
import { until } from '../support/until.ts';

const read = (environment: Environment) => readHubSettings({ PORT: '0', ...environment }, () => '');

describe('settings of the HTTP face', () => {
  const ends: Array<() => Promise<unknown>> = [];
  afterEach(async () => {
    await Promise.all(ends.splice(0).map((end) => end()));
  });

  it("[DIALECT-100] every dialect is on, with its document's own timing", () => {
    const settings = read({});
    expect(settings.DIALECTS).toEqual(['000', '001', '003', '004']);
    expect(settings.OPEN_DIALECTS.size).toBe(0);
    expect(dialectTimingOf(settings, '000')).toEqual({ intervalMs: 30_000, timeoutMs: 90_000 });
    expect(dialectTimingOf(settings, '001')).toEqual({ intervalMs: 10_000, timeoutMs: 30_000 });
    expect(dialectTimingOf(settings, '003')).toEqual({ intervalMs: 60_000, timeoutMs: 180_000 });
    expect(dialectTimingOf(settings, '004')).toEqual({ intervalMs: 60_000, timeoutMs: 180_000 });
  });

  it('[DIALECT-101] wrong names, networks and timings are one clear line', () => {
    expect(read({ DIALECTS: 'none' }).DIALECTS).toEqual([]);
    expect(read({ DIALECTS: '002,004' }).DIALECTS).toEqual(['000', '004']);
    expect(() => read({ DIALECTS: '005' })).toThrow('DIALECTS: "005" is no dialect');
    expect(() => read({ OPEN_DIALECTS: '003@office' })).toThrow(
      'OPEN_DIALECTS: "003@office" names no network',
    );
    expect(() => read({ OPEN_DIALECTS: '003@10.0.0.0/33' })).toThrow('names no network');
    expect(() => read({ DIALECT_004_TIMEOUT: '30s' })).toThrow(
      'DIALECT_004_TIMEOUT (30s) must be at least 3 x',
    );
    const fast = read({ DIALECT_004_TIMEOUT: '30s', DIALECT_004_INTERVAL: '10s' });
    expect(dialectTimingOf(fast, '004')).toEqual({ intervalMs: 10_000, timeoutMs: 30_000 });
  });

  it('[DIALECT-102] networks: IPv4 and IPv6, single addresses, everywhere', () => {
    const open = parseOpenDialects(['003@10.0.0.0/8', '003@2001:db8::/32', '004@192.0.2.7', '000']);
    const has = (name: '000' | '003' | '004', address: string) => open.get(name)?.has(address);
    expect([has('003', '10.9.8.7'), has('003', '11.0.0.1'), has('003', '2001:db8::1')]).toEqual([
      true,
      false,
      true,
    ]);
    expect([has('004', '192.0.2.7'), has('004', '192.0.2.8'), has('000', '203.0.113.1')]).toEqual([
      true,
      false,
      true,
    ]);
    expect(new Networks().has('10.0.0.1')).toBe(false);
  });

  it('[DIALECT-103] a hub with open dialects says so when it starts', async () => {
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (_fields: object, message: string) => void warnings.push(message) };
    const hub = await startHub(read({ OPEN_DIALECTS: '003@10.0.0.0/8' }), { log });
    ends.push(() => hub.stop());
    expect(warnings.filter((warning) => warning.startsWith('OPEN_DIALECTS'))).toHaveLength(1);
  });

  it('[API-66] a hub with open event streams and idle connections is gone within its promise after SIGTERM', async () => {
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
