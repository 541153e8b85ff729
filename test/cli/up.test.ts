import { afterAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { nodeSchema } from '../../shared/index.ts';
import { AgentClient } from '../support/agent-client.ts';
import { type Program, Programs } from '../support/program.ts';
import { until } from '../support/until.ts';

const programs = new Programs();
afterAll(() => programs.end());

const listSchema = z.object({ nodes: z.array(nodeSchema), total: z.number() });

async function nodesOf(url: string, token?: string) {
  const headers: Record<string, string> = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const response = await fetch(`${url}/api/v1/nodes`, { headers });
  return listSchema.parse(await response.json());
}

const listens = /^Rollcall listens on (http:\/\/127\.0\.0\.1:\d+) /m;

async function urlOf(program: Program): Promise<string> {
  return (await program.says(listens))[1] ?? '';
}

describe.concurrent('rollcall up', () => {
  test('[CLI-7] says where it listens, then the node and its status, then what to type next; SIGTERM ends it', async () => {
    const up = programs.run(['up', '--port', '0', '--simulate', '5']);
    const url = await urlOf(up);
    const [, id = '', hostname = ''] = await up.says(/^This machine is node (\S+) {2}\((.+)\): online$/m);
    await up.says(/^Ctrl-C stops\.$/m);
    expect(up.words).toMatch(
      new RegExp(
        [
          '^Rollcall listens on \\S+ .*store: memory, heartbeats every 10s, offline after 30s.*',
          'This machine is node .*',
          '5 simulated agents are connected\\.',
          '',
          'What next.*',
          `.*${url}/ .*in a browser`,
          `.*watch --hub ${url} .*`,
          `.*agent --hub ${url} --node-id demo-2 .*`,
          `.*curl ${url}/api/v1/nodes .*`,
          '.*REDIS_URL=.*',
          'Ctrl-C stops\\.\n$',
        ].join('\n'),
      ),
    );
    const { nodes, total } = await nodesOf(url);
    expect(total).toBe(6);
    expect(nodes.map((node) => node.status)).toEqual(Array(6).fill('online'));
    expect(nodes.find((node) => node.id === id)).toMatchObject({
      hostname,
      cpu: { sockets: expect.any(Number) },
      memory: { totalMib: expect.any(Number) },
      agent: { name: 'rollcall-agent' },
    });
    expect(nodes.filter(({ labels }) => labels.simulation === 'sim')).toHaveLength(5);
    up.signal('SIGTERM');
    expect(await up.exit).toEqual({ code: 0, signal: null });
    expect(up.words).toMatch(/\nStopping\.\n$/);
    expect(up.stderr).toBe('');
  });

  test("[CLI-8] its settings are the hub's, and none of them reaches its agent", async () => {
    const up = programs.run(['up'], {
      PORT: '0',
      HEARTBEAT_INTERVAL: '500ms',
      HEARTBEAT_TIMEOUT: '1500ms',
      LOG_LEVEL: 'info',
      AGENT_TOKENS: 'agent-secret,agent-later',
      DASHBOARD_TOKENS: 'reader-secret',
      HUB_URL: 'ws://127.0.0.1:1/agent',
    });
    const url = await urlOf(up);
    await up.says(/^Ctrl-C stops\.$/m);
    const { nodes } = await nodesOf(url, 'reader-secret');
    expect(nodes).toMatchObject([{ heartbeat: { intervalMs: 500, timeoutMs: 1_500 }, status: 'online' }]);
    up.signal('SIGINT');
    expect(await up.exit).toEqual({ code: 0, signal: null });
    expect(up.stdout + up.stderr).not.toMatch(/agent-secret|agent-later|reader-secret/);
  });

  test('[CLI-9] a signal before its agent has registered ends it as well', async () => {
    const up = programs.run(['up', '--port', '0', '--simulate', '3000']);
    await urlOf(up);
    up.signal('SIGTERM');
    expect(await up.exit).toEqual({ code: 0, signal: null });
    expect(up.stderr).toBe('');
  });

  test('[CLI-9] so does one amid the start of its simulated agents', async () => {
    const up = programs.run(['up', '--port', '0', '--simulate', '3000']);
    await up.says(/^This machine is node/m);
    up.signal('SIGINT');
    expect(await up.exit).toEqual({ code: 0, signal: null });
    expect(up.stderr).toBe('');
  });
});

const listeningSchema = z.looseObject({ url: z.string(), hubId: z.string() });

/** What a hub says when it listens. */
async function listening(hub: Program) {
  await hub.says(/"msg":"Hub listening"/);
  return listeningSchema.parse(hub.lines.find(({ msg }) => msg === 'Hub listening'));
}

describe.concurrent('rollcall hub', () => {
  test('[LOG-2] writes JSON lines with hubId, nodeId and the beginning of the session, and no secret', async () => {
    const hub = programs.run(['hub', '--port', '0', '--log-level', 'debug'], {
      AGENT_TOKENS: 'agent-secret',
      DASHBOARD_TOKENS: 'reader-secret',
    });
    const line = await listening(hub);
    const { url, hubId } = line;
    expect(line).toMatchObject({ level: 30, store: 'memory', hubId: expect.stringMatching(/^hub-/) });

    const agent = await AgentClient.open(`${url.replace('http', 'ws')}/agent`, {
      Authorization: 'Bearer agent-secret',
    });
    const { session } = await agent.register({ nodeId: 'n-1', metadata: { diary: 'private matters' } });
    await agent.exchange('{"type":"private matters"}');
    agent.socket.close(1000);
    await until('the agent is gone', async () => {
      const { nodes } = await nodesOf(url, 'reader-secret');
      return nodes[0]?.status === 'offline';
    });
    hub.signal('SIGTERM');
    expect(await hub.exit).toEqual({ code: 0, signal: null });

    const about = hub.lines.filter(({ nodeId }) => nodeId === 'n-1');
    expect(about).toContainEqual(
      expect.objectContaining({ msg: 'Node registered successfully', session: session.slice(0, 8), hubId }),
    );
    for (const line of hub.lines) {
      expect(line).toMatchObject({
        level: expect.any(Number),
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        msg: expect.any(String),
        hubId,
      });
    }
    expect(hub.stdout + hub.stderr).not.toMatch(/agent-secret|reader-secret|private matters/);
    expect(hub.stdout).not.toContain(session);
    expect(hub.stderr).toBe('');
  });

  test('[CLI-10] SIGTERM and SIGINT end it with exit 0, its agents told to come back', async () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const hub = programs.run(['hub', '--port', '0']);
      const { url } = await listening(hub);
      const agent = await AgentClient.open(`${url.replace('http', 'ws')}/agent`);
      await agent.register({ nodeId: 'n-1' });
      hub.signal(signal);
      expect(await agent.closed).toMatchObject({ code: 1012 });
      expect(await hub.exit).toEqual({ code: 0, signal: null });
      await hub.says(/"msg":"Hub stopped"/);
    }
  });
});
