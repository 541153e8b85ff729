import { Command, CommanderError } from 'commander';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { CommandFailure } from '../../cli/api/failure.ts';
import { hubsCommand } from '../../cli/hubs.ts';
import { nodesCommand } from '../../cli/nodes.ts';
import { startApi, type TestApi } from '../http/test-api.ts';

describe('rollcall nodes and hubs', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi({
      rules: {
        agentTokens: ['agent-token'],
        dashboardTokens: ['reader-token'],
        adminTokens: ['admin-token'],
      },
    });
    for (let n = 0; n < 5; n += 1) {
      const node = {
        nodeId: `n-${n}`,
        hostname: `host-${n}`,
        kind: n % 2 ? 'gpu' : 'edge',
        labels: { zone: `z${n % 2}` },
      };
      await api.call('POST', '/api/v1/nodes', { node }, { authorization: 'Bearer agent-token' });
    }
  });
  afterAll(() => api.close());

  /** Runs a command line; what it printed and its exit code, as the process would have it. */
  async function run(line: string, token = 'reader-token', url = api.url) {
    const said = { out: '', err: '', code: 0 };
    const io = {
      env: { ROLLCALL_URL: url, ROLLCALL_TOKEN: token },
      out: (text: string) => {
        said.out += text;
      },
      err: (text: string) => {
        said.err += text;
      },
      exit: (value: number) => {
        said.code = value;
      },
      readerGone: () => new Promise<void>(() => {}),
    };
    const quiet = { writeOut: io.out, writeErr: io.err };
    const program = new Command().exitOverride().addCommand(nodesCommand(io)).addCommand(hubsCommand(io));
    for (const top of program.commands)
      for (const each of [top, ...top.commands]) each.configureOutput(quiet);
    try {
      await program.parseAsync(line.split(' '), { from: 'user' });
    } catch (error) {
      if (error instanceof CommandFailure) said.code = error.exitCode;
      else if (error instanceof CommanderError) said.code = error.exitCode === 0 ? 0 : 2;
      else throw error;
    }
    return said;
  }

  it('[NODES-50] ls prints a table, JSON or YAML of the nodes that match', async () => {
    const people = await run('nodes ls --kind gpu --sort -hostname');
    expect(people.code).toBe(0);
    expect(people.out.split('\n')[0]).toMatch(/^STATUS +ID +HOSTNAME/);
    expect(people.out.match(/n-\d/g)).toEqual(['n-3', 'n-1']);
    const json = await run('nodes ls --label zone=z0 --json');
    expect(JSON.parse(json.out).map(({ id }: { id: string }) => id)).toEqual(['n-0', 'n-2', 'n-4']);
    expect(parse((await run('nodes ls --limit 2 --yaml')).out)).toHaveLength(2);
  });

  it('[NODES-51] exit codes: 1 none found, 2 usage, 3 unreachable, 4 refused', async () => {
    expect((await run('nodes ls --status offline')).code).toBe(1);
    expect((await run('nodes get nobody')).code).toBe(1);
    expect((await run('nodes ls --sort nonsense')).code).toBe(2);
    expect((await run('nodes ls --nonsense')).code).toBe(2);
    expect((await run('nodes wait n-1 --for happy')).code).toBe(2);
    expect((await run('nodes ls', 'reader-token', 'http://127.0.0.1:1')).code).toBe(3);
    const door = await startApi({ role: 'agents' });
    const misdirected = await run('nodes ls', 'reader-token', door.url).finally(() => door.close());
    expect(misdirected.code).toBe(3);
    expect((await run('nodes ls', 'wrong-token')).code).toBe(4);
    expect((await run('nodes rm n-1')).code).toBe(4);
  });

  it('[NODES-52] get prints the whole node, summary counts, hubs names the hubs', async () => {
    expect(parse((await run('nodes get n-1')).out)).toMatchObject({ id: 'n-1', kind: 'gpu', stats: {} });
    expect(JSON.parse((await run('nodes get n-1 --json')).out)).toMatchObject({ id: 'n-1' });
    expect((await run('nodes summary --by zone')).out).toMatch(/zone +z0 +3/);
    expect(JSON.parse((await run('hubs --json')).out)).toMatchObject([{ hubId: 'hub-a' }]);
    expect((await run('hubs')).out).toContain('hub-a');
  });

  it('[NODES-53] wait ends with 0 once the node has the status, with 1 at the timeout', async () => {
    expect(await run('nodes wait n-1 --for online')).toMatchObject({ code: 0, out: 'n-1 is online\n' });
    expect((await run('nodes wait n-1 --for offline --timeout 1ms')).code).toBe(1);
    expect((await run('nodes wait nobody --for removed')).code).toBe(0);
    const waiting = run('nodes wait late --for online --timeout 20s');
    const node = { nodeId: 'late', hostname: 'late', kind: 'late' };
    await api.call('POST', '/api/v1/nodes', { node }, { authorization: 'Bearer agent-token' });
    expect((await waiting).code).toBe(0);
  });

  it('[NODES-54] events follows from a cursor on', async () => {
    const { body } = await api.call('GET', '/api/v1/events', undefined, {
      authorization: 'Bearer reader-token',
    });
    const node = { nodeId: 'n-9', hostname: 'n-9', kind: 'late' };
    await api.call('POST', '/api/v1/nodes', { node }, { authorization: 'Bearer agent-token' });
    const { out } = await run(`nodes events --since ${body.cursor} --limit 1 --json`);
    expect(JSON.parse(out)).toMatchObject({ nodeId: 'n-9', type: 'registered' });
    expect((await run(`nodes events --since ${body.cursor} --limit 1`)).out).toContain('- -> online');
  });

  it('[NODES-55] rm needs --yes with selectors, and removes what was named or selected', async () => {
    const refused = await run('nodes rm --kind late', 'admin-token');
    expect(refused.code).toBe(2);
    expect((await run('nodes rm', 'admin-token')).code).toBe(2);
    expect(await run('nodes rm --kind late --yes', 'admin-token')).toMatchObject({ code: 0 });
    expect((await run('nodes rm n-0 nobody', 'admin-token')).code).toBe(1);
    expect(await run('nodes rm --kind late', 'admin-token')).toMatchObject({
      code: 0,
      out: 'nothing to remove\n',
    });
    expect((await run('nodes ls --json')).out).not.toContain('n-0');
  });

  it('[NODES-57] rm leaves a node that no longer matches when its turn comes, and says why', async () => {
    const agent = { authorization: 'Bearer agent-token' };
    const register = (nodeId: string, kind: string) =>
      api.call('POST', '/api/v1/nodes', { node: { nodeId, hostname: nodeId, kind } }, agent);
    for (const id of ['old-1', 'old-2']) await register(id, 'old');
    const { fetch } = globalThis;
    const meanwhile = vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
      if (init?.method === 'DELETE') {
        meanwhile.mockRestore();
        await register('old-2', 'new');
      }
      return fetch(input, init);
    });
    const { out, err, code } = await run('nodes rm --kind old --yes', 'admin-token');
    expect([out, code]).toEqual(['old-1 removed\n', 0]);
    expect(err).toMatch(/old-2 \(old-2\) was left: it is online since .+ not what was asked for/);
    expect((await run('nodes get old-2')).code).toBe(0);
  });

  it('[NODES-56] --help shows examples and the exit codes', async () => {
    const { out, code } = await run('nodes --help');
    expect(code).toBe(0);
    expect(out).toContain('Examples:');
    expect(out).toContain('Exit codes: 0 ok');
  });
});
