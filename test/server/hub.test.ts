import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../server/runtime/clock.ts';
import { VERSION } from '../../server/runtime/version.ts';
import { SettingsError } from '../../server/settings.ts';
import { StoreAwayError } from '../../server/store/fleet-store.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { TestHub, TestHubs } from '../support/test-hub.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

test('[SET-8] a taken port is a setting that is wrong, and names the next one', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const address = taken.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const error = await TestHub.start({ settings: { PORT: String(port) } }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(SettingsError);
  const next = port < 65_535 ? port + 1 : 8080;
  expect(error).toMatchObject({ message: `${port} is in use; try PORT=${next}` });
  taken.close();
});

test.each(['192.0.2.1', 'nowhere.invalid', '127.0.0.999'])(
  '[SET-8] so is a HOST that is not this machine: %s',
  async (HOST) => {
    const error = await TestHub.start({
      settings: { HOST, AGENT_TOKENS: 'agent-secret', DASHBOARD_TOKENS: 'reader-secret' },
    }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(SettingsError);
    expect(error).toMatchObject({ message: `HOST: ${HOST} is no address of this machine` });
  },
);

test.each(['::1', '[::1]'])('HOST=%s is reached by the url that the hub tells', async (HOST) => {
  const hub = await hubs.start({ settings: { HOST } });
  expect(hub.url).toBe(`http://[::1]:${hub.port}`);
  expect((await hub.fetch('/healthz')).status).toBe(200);
});

test('a store out of reach at the start is told, and nothing is left running', async () => {
  const store = new FaultyStore(new MemoryStore(new MemoryFleet(systemClock)));
  store.fault = 'away';
  await expect(TestHub.start({ store })).rejects.toThrow(StoreAwayError);
});

test('a hub may be stopped twice', async () => {
  const hub = await hubs.start();
  await Promise.all([hub.hub.stop(), hub.hub.stop()]);
  await expect(fetch(hub.url)).rejects.toThrow();
});

test('the version is that of package.json', async () => {
  const { default: manifest } = await import('../../package.json', { with: { type: 'json' } });
  expect(VERSION).toBe(manifest.version);
});
