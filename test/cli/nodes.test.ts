import { once } from 'node:events';
import { createServer } from 'node:http';
import { Command, CommanderError } from 'commander';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { CommandFailure } from '../../cli/api/failure.ts';
import { nodeNames } from '../../cli/api/node-names.ts';
import { hubsCommand } from '../../cli/hubs.ts';
import { nodesCommand } from '../../cli/nodes.ts';
import { UsageError } from '../../cli/usage-error.ts';
import { startApi, type TestApi } from '../http/test-api.ts';

describe('rollcall nodes and hubs', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi({
      dashboards: true,
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
  async function run(
    line: string | readonly string[],
    token = 'reader-token',
    url = api.url,
    columns: number | undefined = undefined,
  ) {
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
      columns,
      readerGone: () => new Promise<void>(() => {}),
    };
    const quiet = { writeOut: io.out, writeErr: io.err };
    const program = new Command().exitOverride().addCommand(nodesCommand(io)).addCommand(hubsCommand(io));
    for (const top of program.commands)
      for (const each of [top, ...top.commands]) each.configureOutput(quiet);
    try {
      await program.parseAsync(typeof line === 'string' ? line.split(' ') : line, { from: 'user' });
    } catch (error) {
      if (error instanceof CommandFailure)
        Object.assign(said, { code: error.exitCode, err: said.err + error.message });
      else if (error instanceof UsageError) Object.assign(said, { code: 2, err: error.message });
      else if (error instanceof CommanderError) said.code = error.exitCode === 0 ? 0 : 2;
      else throw error;
    }
    return said;
  }

  it('[NODES-1] ls prints a table, JSON or YAML of the nodes that match', async () => {
    const people = await run('nodes ls --kind gpu --sort -hostname');
    expect(people.code).toBe(0);
    expect(people.out.split('\n')[0]).toMatch(/^STATUS +HOSTNAME +ID/);
    expect(people.out.match(/n-\d/g)).toEqual(['n-3', 'n-1']);
    const json = await run('nodes ls --label zone=z0 --json');
    expect(JSON.parse(json.out).map(({ id }: { id: string }) => id)).toEqual(['n-0', 'n-2', 'n-4']);
    expect(parse((await run('nodes ls --limit 2 --yaml')).out)).toHaveLength(2);
  });

  it('[NODES-2] exit codes: 1 none found, 2 usage, 3 unreachable, 4 refused', async () => {
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

  it('[NODES-3] get prints the whole node, summary counts, hubs names the hubs', async () => {
    expect(parse((await run('nodes get n-1')).out)).toMatchObject({ id: 'n-1', kind: 'gpu', stats: {} });
    expect(JSON.parse((await run('nodes get n-1 --json')).out)).toMatchObject({ id: 'n-1' });
    expect((await run('nodes summary --by zone')).out).toMatch(/zone +z0 +3/);
    expect(JSON.parse((await run('hubs --json')).out)).toMatchObject([{ hubId: 'hub-a' }]);
    expect((await run('hubs')).out).toContain('hub-a');
  });

  it('[NODES-4] wait ends with 0 once the node has the status, with 1 at the timeout', async () => {
    expect(await run('nodes wait n-1 --for online')).toMatchObject({ code: 0, out: 'n-1 is online\n' });
    expect((await run('nodes wait n-1 --for offline --timeout 1ms')).code).toBe(1);
    expect((await run('nodes wait nobody --for removed')).code).toBe(0);
    const waiting = run('nodes wait late --for online --timeout 20s');
    const node = { nodeId: 'late', hostname: 'late', kind: 'late' };
    await api.call('POST', '/api/v1/nodes', { node }, { authorization: 'Bearer agent-token' });
    expect((await waiting).code).toBe(0);
  });

  it('[NODES-5] events follows from a cursor on', async () => {
    const { body } = await api.call('GET', '/api/v1/events', undefined, {
      authorization: 'Bearer reader-token',
    });
    const node = { nodeId: 'n-9', hostname: 'n-9', kind: 'late' };
    await api.call('POST', '/api/v1/nodes', { node }, { authorization: 'Bearer agent-token' });
    const { out } = await run(`nodes events --since ${body.cursor} --limit 1 --json`);
    expect(JSON.parse(out)).toMatchObject({ nodeId: 'n-9', type: 'registered' });
    expect((await run(`nodes events --since ${body.cursor} --limit 1`)).out).toContain('- -> online');
  });

  it('[NODES-6] rm needs --yes with selectors, and removes what was named or selected', async () => {
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

  it('[NODES-9] a node is named by its id, its host name in any case, or the beginning of either', async () => {
    const agent = { authorization: 'Bearer agent-token' };
    for (const [nodeId, hostname] of [
      ['0a1b-1', 'Web-1.example'],
      ['0a1c-2', 'web-2.example'],
      ['web-2.example', 'other'],
      ['0a1d-3', 'twin'],
      ['0a1d-4', 'twin-b'],
    ])
      await api.call('POST', '/api/v1/nodes', { node: { nodeId, hostname } }, agent);
    const idOf = async (name: string) => parse((await run(['nodes', 'get', name])).out).id;
    expect(await idOf('web-1.EXAMPLE')).toBe('0a1b-1');
    expect(await idOf('0a1b')).toBe('0a1b-1');
    expect(await idOf('web-1')).toBe('0a1b-1');
    expect(await idOf('web-2.example')).toBe('web-2.example');
    expect(await idOf('TWIN')).toBe('0a1d-3');
    const several = await run('nodes get 0a1d');
    expect(several).toMatchObject({ code: 2, out: '' });
    expect(several.err).toBe('0a1d may be 2 nodes: twin (0a1d-3), twin-b (0a1d-4); write more of it');
    expect((await run('nodes rm 0a1', 'admin-token')).code).toBe(2);
    expect(await run('nodes rm twin-', 'admin-token')).toMatchObject({ code: 0, out: '0a1d-4 removed\n' });
    expect(await run('nodes wait WEB-1 --for Online')).toMatchObject({ code: 0 });
    expect((await run('nodes get nobody-there')).code).toBe(1);
    await run('nodes rm 0a1b 0a1c twin', 'admin-token');
    await run(['nodes', 'rm', 'web-2.example'], 'admin-token');
  });

  it('[NODES-10] values with a comma, statuses in any case, and words where something is wrong', async () => {
    const agent = { authorization: 'Bearer agent-token' };
    const node = { nodeId: 'big', hostname: 'big', kind: 'gpu,big', labels: { note: 'a,b' } };
    await api.call('POST', '/api/v1/nodes', { node }, agent);
    for (const line of [
      'nodes ls --kind gpu\\,big',
      'nodes ls --kind no,gpu\\,big',
      'nodes ls -l note=a\\,b',
    ])
      expect(JSON.parse((await run(`${line} --json`)).out)).toMatchObject([{ id: 'big' }]);
    expect((await run('nodes ls --status ONLINE --kind gpu')).code).toBe(0);
    for (const [line, words] of [
      [
        'nodes ls --status offlin',
        '"offlin" is none of online, degraded, unreachable, offline; did you mean offline?',
      ],
      ['nodes ls -l zone', '--label "zone": write it as key=value'],
      ['nodes rm -l zone --yes', '--label "zone": write it as key=value'],
      ['nodes ls --sort hostnam', 'did you mean hostname?'],
      ['nodes wait n-1 --for onlin', '--for: "onlin" is none of'],
      ['nodes ls --limit 1e2', '--limit is a whole number from 1'],
    ] as const) {
      const wrong = await run(line, 'admin-token');
      expect([line, wrong.code]).toEqual([line, 2]);
      expect(wrong.err).toContain(words);
    }
    await run('nodes rm big', 'admin-token');
  });

  it('[NODES-14] what can be told to be wrong is refused before any hub is asked', async () => {
    const long = 'x'.repeat(300);
    for (const [line, words] of [
      [
        ['nodes', 'ls', '--sort', 'nope'],
        /^--sort: "nope" is none of hostname, status, .*location \(- before/,
      ],
      [['nodes', 'ls', '--sort', '-hostnam'], /did you mean hostname\?/],
      [['nodes', 'ls', '--json', '--yaml'], /'--json' cannot be used with option '--yaml'/],
      [['nodes', 'ls', '--json', '-o', 'wide'], /cannot be used with/],
      [['nodes', 'ls', '--watch', '--sort', 'kind'], /cannot be used with/],
      [['nodes', 'ls', '--watch', '--limit', '3'], /cannot be used with/],
      [['nodes', 'get', 'n-1', '--json', '--yaml'], /cannot be used with/],
      [['nodes', 'get', ''], /^a node is named by its id, its host name/],
      [['nodes', 'get', long], /longer than 253 characters/],
      [['nodes', 'rm', 'n-1', ' '], /^a node is named by its id/],
      [['nodes', 'wait', '', '--for', 'online'], /^a node is named by its id/],
      [['nodes', 'wait', 'n-1', '--for', 'online', '--timeout', '5'], /"5" is not a duration/],
      [['nodes', 'events', '--node', ''], /^a node is named by its id/],
      [['nodes', 'events', '--since', 'nope'], /^--since: is no duration such as 1h, .*no cursor/],
      [['nodes', 'summary', '--by', ''], /^--by: must be letters, digits/],
      [['nodes', 'summary', '--by', 'a=b'], /^--by: must be letters, digits/],
      [['hubs', '--json', '--yaml'], /cannot be used with/],
    ] as const) {
      const wrong = await run(line, 'admin-token', 'http://127.0.0.1:1');
      expect([line, wrong.code]).toEqual([line, 2]);
      expect(wrong.err).toMatch(words);
    }
  });

  it('[CLI-17] names of nodes come in time or not at all, and only those that no shell runs', async () => {
    const agent = { authorization: 'Bearer agent-token' };
    for (const hostname of ['$(reboot)', 'two words', 'bücher', 'a:b'])
      await api.call(
        'POST',
        '/api/v1/nodes',
        { node: { nodeId: `odd-${hostname.length}`, hostname } },
        agent,
      );
    const names = (beginning: string, token = 'reader-token', withinMs = 20_000, url = api.url) =>
      nodeNames(undefined, { ROLLCALL_URL: url, ROLLCALL_TOKEN: token }, beginning, withinMs);
    expect(await names('host-')).toEqual(expect.arrayContaining(['host-1', 'host-2']));
    expect(await names('HOST-1')).toEqual(['host-1']);
    expect((await names('odd')).sort()).toEqual(['odd-3', 'odd-6', 'odd-9']);
    for (const beginning of ['$(', 'two w', 'nobody', 'x'.repeat(400)])
      expect(await names(beginning)).toEqual([]);
    expect(await names('host-', 'wrong-token')).toEqual([]);
    expect(await names('host-', 'reader-token', 20_000, 'http://127.0.0.1:9')).toEqual([]);
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const address = silent.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    expect(await names('host-', 'reader-token', 50, `http://127.0.0.1:${port}`)).toEqual([]);
    silent.closeAllConnections();
    silent.close();
    for (const id of ['odd-9', 'odd-6', 'odd-3']) await run(`nodes rm ${id}`, 'admin-token');
  });

  it('[NODES-11] ls fits a terminal of 60, 80 or 120 columns, and cuts nothing in a pipe', async () => {
    const agent = { authorization: 'Bearer agent-token' };
    const nodeId = '1f0e4c7a-9f3b-5d7e-8a10-1234567890ab';
    const hostname = `${'long-'.repeat(12)}name.example`;
    const node = { nodeId, hostname, kind: 'hypervisor', location: 'eu-central-1', labels: { z: 'a,b' } };
    await api.call('POST', '/api/v1/nodes', { node }, agent);
    for (const columns of [60, 80, 120]) {
      const { out } = await run('nodes ls', 'reader-token', api.url, columns);
      const lines = out.trimEnd().split('\n');
      expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(columns);
      expect(lines[0]).toMatch(/^STATUS +HOSTNAME .*AGE/);
    }
    const piped = (await run('nodes ls --no-headers --kind hypervisor')).out;
    expect(piped).toMatch(
      new RegExp(`^online +${hostname} +${nodeId} +hypervisor +eu-central-1 +\\d+s +registered\n$`),
    );
    const wide = (await run('nodes ls -o wide --kind hypervisor', 'reader-token', api.url, 60)).out;
    expect(wide).toMatch(/REASON +LAST BEAT +ADDRESS +VERSION +HUB +LABELS\n/);
    expect(wide).toMatch(/ registered +\d+s +- +- +hub-a +z=a\\,b\n$/);
    expect(JSON.parse((await run('nodes ls -o json --kind hypervisor')).out)).toMatchObject([{ hostname }]);
    expect((await run('nodes ls -o nonsense')).code).toBe(2);
    await run(`nodes rm ${nodeId}`, 'admin-token');
  });

  it('[NODES-8] rm leaves a node that no longer matches when its turn comes, and says why', async () => {
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

  it('[NODES-7] --help shows examples and the exit codes', async () => {
    const { out, code } = await run('nodes --help');
    expect(code).toBe(0);
    expect(out).toContain('Examples:');
    expect(out).toContain('Exit codes: 0 ok');
  });
});
