import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Programs } from '../support/program.ts';
import { TestHubs } from '../support/test-hub.ts';
import { until } from '../support/until.ts';

const hubs = new TestHubs();
const programs = new Programs();
const folder = mkdtempSync(join(tmpdir(), 'rollcall-'));
afterEach(async () => {
  await programs.end();
  await hubs.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('rollcall agent in the place of another', () => {
  it('[AGENT-5] registers with the flags and the file of the Connect node daemon, and the environment of the agents of game hosts', async () => {
    const hub = await hubs.start();
    const url = hub.url;
    const file = join(folder, 'node.yaml');
    writeFileSync(
      file,
      `node:
  id: my-node-02
  hostname: hypervisor-02.local
  labels:
    zone: us-east-1a
    rack: rack-42

server:
  listen_address: 0.0.0.0:9090

control_plane:
  address: ${url}
  registration_enabled: true
  heartbeat_interval_secs: 30
`,
    );
    const flags = ['--dev', '--listen', '127.0.0.1:9090', '--http-listen', '0.0.0.0:8080', '--register'];
    const byFlags = programs.run(['agent', ...flags, '--control-plane', url, '--node-id', 'my-node-01']);
    programs.run(['agent', '--config', file]);
    programs.run(['agent'], {
      NODE_ID: 'node-1',
      ORCHESTRATOR_URL: url,
      HEARTBEAT_INTERVAL: '20',
      HEARTBEAT_TIMEOUT: '5',
      MAX_HEARTBEAT_FAILURES: '2',
    });
    const { view } = hub.hub.fleet;
    await until('all three are there', () => view.size === 3);
    expect(view.get('my-node-01')?.node).toMatchObject({ status: 'online', address: '127.0.0.1:9090' });
    expect(view.get('my-node-02')?.node).toMatchObject({
      hostname: 'hypervisor-02.local',
      labels: { zone: 'us-east-1a', rack: 'rack-42' },
      address: expect.stringMatching(/:9090$/),
      heartbeat: { intervalMs: 30_000 },
    });
    expect(view.get('node-1')?.node).toMatchObject({ heartbeat: { intervalMs: 20_000 } });
    await byFlags.says(/Heartbeat (sent|acknowledged)|Registering with the hub/);
    byFlags.signal('SIGTERM');
    expect(await byFlags.exit).toEqual({ code: 0, signal: null });
    await until('it said goodbye', () => view.get('my-node-01')?.node.reason === 'agent_stopped');
  });
});
