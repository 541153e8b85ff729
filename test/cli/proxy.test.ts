import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadProxies } from '../../cli/proxy.ts';
import { type ConnectProxy, startConnectProxy } from '../support/connect-proxy.ts';
import { Programs } from '../support/program.ts';
import { until } from '../support/until.ts';

const programs = new Programs();
const tokens = {
  AGENT_TOKENS: 'agent-token-1',
  DASHBOARD_TOKENS: 'reader-token-1',
  ADMIN_TOKENS: 'admin-token-1',
};
let port = 0;
let proxy: ConnectProxy;

beforeAll(async () => {
  const hub = programs.run(['hub', '--port', '0'], tokens);
  port = Number((await hub.says(/http:\/\/127\.0\.0\.1:(\d+)/))[1]);
  proxy = await startConnectProxy(port, 'user:se-cret');
});
afterAll(async () => {
  await programs.end();
  await proxy.close();
});

const through = (address: string) => ({
  http_proxy: `http://${address}`,
  HTTPS_PROXY: `http://${address}`,
  ROLLCALL_TOKEN: 'admin-token-1',
  ROLLCALL_URL: 'http://hub.test:8080',
});

describe('a proxy on the way to the hub', () => {
  test('[CLI-14] agent, watch and nodes go through HTTP_PROXY, with its name and password', async () => {
    const env = through(`user:se-cret@${proxy.address}`);
    const agent = programs.run(['agent', '--hub', 'http://hub.test:8080', '--node-id', 'far'], {
      ...env,
      AGENT_TOKEN: 'agent-token-1',
    });
    await until('it tunnels', () => proxy.asked.includes('CONNECT hub.test:8080'));
    const wait = await programs.finish(['nodes', 'wait', 'far', '--for', 'online'], env);
    expect(wait).toMatchObject({ code: 0, stderr: '' });
    // Requests need no tunnel; `wait` follows over a WebSocket, which does.
    const get = await programs.finish(['nodes', 'get', 'far'], env);
    expect(get).toMatchObject({ code: 0, stderr: '' });
    expect(proxy.asked).toContain('GET http://hub.test:8080/api/v1/nodes/far');
    const watch = await programs.finish(['watch', '--once'], env);
    expect(watch).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('1 node: 1 online') });
    expect(agent.stdout + agent.stderr).not.toContain('se-cret');
    await agent.kill();
  });

  test('[CLI-14] a proxy that refuses, or is not there, is named without its password', async () => {
    for (const [address, words] of [
      [`user:wr-ong@${proxy.address}`, /the proxy 127\.0\.0\.1:\d+: it wants a name and password/],
      ['user:wr-ong@127.0.0.1:1', /the proxy 127\.0\.0\.1:1: nothing listens there/],
    ] as const) {
      const env = through(address);
      const agent = programs.run(['agent', '--hub', 'wss://hub.test', '--node-id', 'far'], env);
      await until('it says so', () => words.test(agent.stdout));
      const watch = await programs.finish(['watch', '--once'], env);
      expect([watch.code, watch.stderr]).toEqual([3, expect.stringMatching(words)]);
      const list = await programs.finish(['nodes', 'ls'], env);
      expect(list.code).toBe(3);
      expect(agent.stdout + agent.stderr + watch.stderr + list.stderr).not.toContain('wr-ong');
      await agent.kill();
    }
  });

  test('[CLI-14] a hub on this machine, and one in NO_PROXY, is reached directly', async () => {
    const env = { ...through('127.0.0.1:1'), ROLLCALL_URL: `http://127.0.0.1:${port}` };
    expect((await programs.finish(['nodes', 'summary'], env)).stderr).toBe('');
    const left = { NO_PROXY: '.inside.test', HTTP_PROXY: 'http://127.0.0.1:1' };
    Object.assign(process.env, left);
    const { agentFor, askFor } = await loadProxies(left);
    expect(agentFor('ws://hub.inside.test/agent')).toBeUndefined();
    expect(askFor('http://hub.inside.test')).toBe(fetch);
    expect(agentFor('ws://hub.test/agent')).toBeDefined();
    for (const name of Object.keys(left)) delete process.env[name];
    const wrong = await programs.finish(['watch', '--once'], {
      ...env,
      ROLLCALL_URL: 'http://hub.test',
      http_proxy: 'socks5://me:se-cret@there:1',
    });
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringMatching(/socks5:\/\/there:1 is no proxy/)]);
  });
});

test('[CLI-15] why a hub cannot be reached is said in words, by every command alike', async () => {
  const noTls = /no TLS is spoken there|TLS could not be agreed on; is it spoken there\?/;
  const gone = await startConnectProxy(port);
  await gone.close();
  const ROLLCALL_URL = `http://${gone.address}`;
  for (const args of [['nodes', 'ls'], ['hubs'], ['watch', '--once']]) {
    const { code, stderr } = await programs.finish(args, { ROLLCALL_URL });
    expect([code, stderr]).toEqual([3, expect.stringContaining(': nothing listens there (ECONNREFUSED)')]);
    const tls = await programs.finish(args, {
      ROLLCALL_URL: `https://127.0.0.1:${port}`,
      ROLLCALL_TOKEN: 'reader-token-1',
    });
    expect([tls.code, tls.stderr]).toEqual([3, expect.stringMatching(noTls)]);
  }
  const agent = programs.run(['agent', '--hub', `wss://127.0.0.1:${port}`]);
  await agent.says(noTls);
  expect(agent.stdout).not.toMatch(/routines|:error:/);
});
