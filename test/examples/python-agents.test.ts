import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { leash } from '../support/leash.ts';
import { TestHub } from '../support/test-hub.ts';
import { until } from '../support/until.ts';

/** Another Python may come first in PATH; Debian's own has Debian's packages (scripts/install-test-tools.sh). */
const python = ['python3', '/usr/bin/python3'].find(
  (program) => spawnSync(program, ['-c', 'import websockets']).status === 0,
);

const ends: Array<() => Promise<unknown>> = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function hubWith(settings: Readonly<Record<string, string>> = {}): Promise<TestHub> {
  const hub = await TestHub.start({
    settings: { HEARTBEAT_INTERVAL: '200ms', HEARTBEAT_TIMEOUT: '3s', ...settings },
  });
  ends.push(() => hub.stop());
  return hub;
}

/** A Python program; what it complains of is shown. */
function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  if (python === undefined) throw new Error('no Python with websockets: sh scripts/install-test-tools.sh');
  const child: ChildProcess = spawn(python, args, {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  leash(child);
  const exit = once(child, 'exit');
  ends.push(async () => {
    child.kill('SIGKILL');
    await exit;
  });
  return child;
}

const tokens = { AGENT_TOKENS: 'for-the-agents', DASHBOARD_TOKENS: 'for-the-readers' };
const listSchema = z.object({ nodes: z.array(z.looseObject({ id: z.string() })) });
const nodeSchema = z.looseObject({
  status: z.string(),
  reason: z.string(),
  stats: z.looseObject({ metrics: z.record(z.string(), z.number()).optional() }),
});

async function read<T extends z.ZodType>(hub: TestHub, path: string, schema: T): Promise<z.output<T>> {
  const response = await hub.fetch(path, { headers: { authorization: 'Bearer for-the-readers' } });
  return schema.parse(await response.json());
}

/** The only node of a hub, with its figures, once it looks as told. */
function nodeThat(hub: TestHub, looks: (node: z.output<typeof nodeSchema>) => boolean): Promise<unknown> {
  return until('the only node looks as expected', async () => {
    const { nodes } = await read(hub, '/api/v1/nodes', listSchema);
    const [first] = nodes;
    if (first === undefined) return undefined;
    const node = await read(hub, `/api/v1/nodes/${first.id}`, nodeSchema);
    return looks(node) && node;
  });
}

const beats = (node: z.output<typeof nodeSchema>): boolean =>
  node.status === 'online' && node.stats.metrics?.load1 !== undefined;

describe('agents in Python', () => {
  it('that of docs/AGENT.md registers, beats and sends its load', async () => {
    const hub = await hubWith();
    const [, code = ''] = /```python\n([\s\S]*?)```/.exec(readFileSync('docs/AGENT.md', 'utf8')) ?? [];
    expect(code).toContain('ws://127.0.0.1:8080/agent');
    run(['-c', code.replace('ws://127.0.0.1:8080/agent', hub.agentUrl)]);
    await nodeThat(hub, beats);
  });

  it('that of examples/ shows its token, beats, sends its load, and says goodbye', async () => {
    const hub = await hubWith(tokens);
    const agent = run(['examples/agent.py'], { HUB_URL: hub.agentUrl, AGENT_TOKEN: tokens.AGENT_TOKENS });
    await nodeThat(hub, beats);
    agent.kill('SIGINT');
    await nodeThat(hub, ({ status, reason }) => status === 'offline' && reason === 'agent_stopped');
  });
});
