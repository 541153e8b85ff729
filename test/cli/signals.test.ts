import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Program } from '../support/program.ts';
import { until } from '../support/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'rollcall-signals-'));
const programs: Program[] = [];
afterAll(async () => {
  for (const program of programs) program.child.kill('SIGKILL');
  await Promise.all(programs.splice(0).map(({ exit }) => exit));
  rmSync(folder, { recursive: true, force: true });
});

function start(args: string[], env: Record<string, string> = {}): Program {
  const program = new Program(args, env);
  programs.push(program);
  return program;
}

const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

async function startHub(env: Record<string, string> = {}): Promise<{ hub: Program; url: string }> {
  const hub = start(['hub', '--port', '0'], env);
  const [, url = ''] = await hub.says(/"url":"([^"]+)".*Hub listening/);
  return { hub, url };
}

const statusOf = async (url: string, token: string): Promise<number> =>
  (await fetch(`${url}/api/v1/nodes`, { headers: { Authorization: `Bearer ${token}` } })).status;

test.concurrent('[SIG-1] SIGHUP does not end a hub that is still starting', async () => {
  const redis = createServer().listen(0, '127.0.0.1');
  await once(redis, 'listening');
  const address = redis.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const hub = start(['hub', '--port', '0'], { REDIS_URL: `redis://127.0.0.1:${port}` });
  const [socket]: Socket[] = await once(redis, 'connection');
  hub.signal('SIGHUP');
  // Of two signals that wait, SIGHUP comes first.
  hub.signal('SIGTERM');
  expect(await hub.exit).toEqual({ code: null, signal: 'SIGTERM' });
  socket?.destroy();
  redis.close();
});

test.concurrent('[SIG-1] SIGHUP has a hub read its files again; a wrong file changes nothing', async () => {
  const tokens = file('readers', 'first-token');
  const level = file('level', 'info');
  const { hub, url } = await startHub({
    DASHBOARD_TOKENS_FILE: tokens,
    AGENT_TOKENS: 'agent-token',
    LOG_LEVEL_FILE: level,
  });
  expect([await statusOf(url, 'first-token'), await statusOf(url, 'second-token')]).toEqual([200, 401]);
  writeFileSync(tokens, 'second-token\n');
  writeFileSync(level, 'debug\n');
  hub.child.kill('SIGHUP');
  const [said] = await hub.says(/.*"msg":"Settings read again"/);
  expect(said).toContain('"DASHBOARD_TOKENS":{"added":1,"removed":1}');
  expect(said).toContain('"LOG_LEVEL":"debug"');
  expect([await statusOf(url, 'first-token'), await statusOf(url, 'second-token')]).toEqual([401, 200]);
  writeFileSync(tokens, 'short');
  hub.child.kill('SIGHUP');
  await hub.says(/DASHBOARD_TOKENS_FILE: each token is .*Settings cannot be read again/);
  expect(await statusOf(url, 'second-token')).toBe(200);
  expect(hub.stdout).not.toMatch(/first-token|second-token/);
  hub.child.kill('SIGTERM');
  expect(await hub.exit).toEqual({ code: 0, signal: null });
});

test.concurrent('[SIG-2] SIGHUP has an agent read its file again, and says what needs a restart', async () => {
  const { hub, url } = await startHub();
  const config = file('agent.yaml', 'nodeId: n-1\nlabels: { zone: a }\n');
  const agent = start(['agent', '--hub', url, '--config', config]);
  await hub.says(/Node registered successfully/);
  const node = async () => (await fetch(`${url}/api/v1/nodes/n-1`)).json();
  writeFileSync(config, 'nodeId: n-2\nlabels: { zone: b }\nlogLevel: debug\n');
  agent.child.kill('SIGHUP');
  const [said] = await agent.says(/.*"msg":"Settings read again"/);
  expect(said).toContain('"changed":["labels","logLevel"],"needsRestart":["nodeId"]');
  await until('the label is registered', async () => JSON.stringify(await node()).includes('"zone":"b"'));
  writeFileSync(config, 'labels: [\n');
  agent.child.kill('SIGHUP');
  await agent.says(/Settings cannot be read again/);
  agent.child.kill('SIGQUIT');
  expect(await agent.exit).toEqual({ code: 0, signal: null });
  expect(await node()).toMatchObject({ status: 'offline', reason: 'agent_stopped' });
});

test.concurrent.each(['SIGQUIT', 'SIGUSR2'] as const)('[SIG-3] %s ends a hub in order', async (signal) => {
  const { hub } = await startHub();
  hub.child.kill(signal);
  expect(await hub.exit).toEqual({ code: 0, signal: null });
});

test.concurrent('[SIG-3] SIGHUP ends watch in order', async () => {
  const { url } = await startHub();
  const watch = start(['watch', '--hub', url, '--json']);
  await watch.says(/snapshot/);
  watch.child.kill('SIGHUP');
  expect(await watch.exit).toEqual({ code: 0, signal: null });
});

test.runIf(process.platform === 'linux')(
  '[SIG-4] what an agent starts inherits no secret',
  { concurrent: true },
  async () => {
    const bin = mkdtempSync(join(folder, 'bin-'));
    const seen = join(folder, 'seen');
    const { url } = await startHub();
    file(`${bin.slice(folder.length + 1)}/lspci`, `#!/bin/sh\nenv >> ${seen}\n`);
    const { chmodSync } = await import('node:fs');
    chmodSync(join(bin, 'lspci'), 0o755);
    const env = { AGENT_TOKEN: 'very-secret-token', PATH: `${bin}:${process.env.PATH ?? ''}` };
    const agent = start(['agent', '--hub', url, '--node-id', 'n-1'], env);
    await agent.says(/Successfully registered/);
    // A slow machine may let it register before the program has run.
    await until(
      'it started a program',
      () => existsSync(seen) && readFileSync(seen, 'utf8').includes('PATH='),
    );
    expect(readFileSync(seen, 'utf8')).not.toContain('very-secret-token');
  },
);
