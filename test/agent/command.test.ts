import { Command, CommanderError } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { agentCommand } from '../../cli/agent.ts';
import { UsageError } from '../../cli/usage-error.ts';
import { VERSION } from '../../server/runtime/version.ts';
import { Programs } from '../support/program.ts';
import { until } from '../support/until.ts';
import { startHub } from './harness.ts';

/** So that a test of a real process, under the real clock, need not wait for its heartbeat. */
const timing = { intervalMs: 100, timeoutMs: 30_000 };
const programs = new Programs();
afterEach(() => programs.end());

describe('rollcall agent, the process', () => {
  it('registers this machine with flags, variables and file, and says goodbye at SIGTERM', async () => {
    const hub = await startHub({ timing });
    const agent = programs.run(
      [
        'agent',
        '--hub',
        hub.url,
        '--node-id',
        'demo-2',
        '--label',
        'zone=a',
        '--label',
        'rack=b',
        '--port',
        '9090',
        '--interval',
        '30',
      ],
      { AGENT_TOKEN: 'agent-secret', NODE_KIND: 'edge', NODE_ID: 'overridden', LOG_LEVEL: 'debug' },
    );
    await until('it beats', () => hub.sessions.length === 1 && hub.last.pings > 0);
    agent.signal('SIGTERM');
    expect(await agent.exit).toEqual({ code: 0, signal: null });
    expect(hub.last.headers.authorization).toBe('Bearer agent-secret');
    expect(hub.last.registers[0]).toMatchObject({
      heartbeat: { intervalMs: 30_000 },
      node: {
        nodeId: 'demo-2',
        kind: 'edge',
        labels: { zone: 'a', rack: 'b' },
        address: expect.stringMatching(/^\d+\.\d+\.\d+\.\d+:9090$/),
        agent: { name: 'rollcall-agent', version: VERSION },
      },
    });
    await until('it is gone', () => hub.last.closed !== undefined);
    expect(hub.last.closed).toEqual({ code: 1000, reason: 'agent stopped', agentFirst: true });
    expect(agent.lines.map(({ msg }) => msg)).toEqual(
      expect.arrayContaining([
        'Registering with the hub',
        'Successfully registered with the hub (first time)',
        'Heartbeat sent',
        'Stopping',
        'Agent stopped',
      ]),
    );
    expect(agent.stdout).not.toMatch(/agent-secret|secret-session/);
    expect(agent.stderr).toBe('');
  });

  it('deregisters on exit where it is told to', async () => {
    const hub = await startHub({ timing });
    const agent = programs.run(['agent', '--hub', hub.url, '--deregister-on-exit']);
    await until('it beats', () => hub.sessions.length === 1 && hub.last.pings > 0);
    agent.signal('SIGINT');
    expect(await agent.exit).toEqual({ code: 0, signal: null });
    expect(hub.last.messages.at(-1)).toEqual({ type: 'deregister', reason: 'agent exits' });
    await until('it is gone', () => hub.last.closed !== undefined);
    expect(hub.last.closed).toMatchObject({ agentFirst: false });
  });

  it('ends at once at the second signal', async () => {
    const hub = await startHub({ timing, onDeregister: () => {} });
    const agent = programs.run(['agent', '--hub', hub.url, '--deregister-on-exit']);
    await until('it beats', () => hub.sessions.length === 1 && hub.last.pings > 0);
    agent.signal('SIGTERM');
    await until('it asks to be removed', () => hub.last.messages.some(({ type }) => type === 'deregister'));
    agent.signal('SIGTERM');
    expect(await agent.exit).toEqual({ code: 143, signal: null });
  });

  it('ends when its node was removed', async () => {
    const hub = await startHub({ onRegister: ({ socket }) => socket.close(4404, 'this node was removed') });
    const { code, stdout } = await programs.finish(['agent', '--hub', hub.url]);
    expect(code).toBe(0);
    expect(stdout).toContain('This node was removed: the agent stops');
  });

  it('exits 2 and names each wrong setting', async () => {
    const ended = await programs.finish(['agent', '--port', '0'], { HEARTBEAT_INTERVAL: 'soon' });
    expect(ended).toEqual({
      code: 2,
      signal: null,
      stdout: '',
      stderr:
        'rollcall: --port: must be a port from 1 to 65535\nHEARTBEAT_INTERVAL: "soon" is not a duration: write it as 500ms, 10s or 3m\n',
    });
  });
});

describe('the command', () => {
  const parse = (...args: string[]) =>
    new Command('rollcall')
      .exitOverride()
      .addCommand(agentCommand())
      .parseAsync(['agent', ...args], { from: 'user' });

  it('throws usage errors for the entry point to print', async () => {
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    await expect(parse('--bogus')).rejects.toBeInstanceOf(CommanderError);
    await expect(parse('--token', 'x')).rejects.toBeInstanceOf(CommanderError);
    stderr.mockRestore();
    await expect(parse('--node-id', 'a b')).rejects.toBeInstanceOf(UsageError);
  });

  it('has a help that names every flag, every variable and examples', () => {
    let help = '';
    const command = agentCommand().configureOutput({
      writeOut: (text) => {
        help += text;
      },
    });
    command.outputHelp();
    for (const word of [
      ...[
        'hub',
        'node-id',
        'hostname',
        'label',
        'kind',
        'location',
        'role',
        'pool',
        'address',
        'port',
        'interval',
      ],
      ...['config', 'deregister-on-exit', 'log-level'],
    ]) {
      expect(help).toContain(`--${word}`);
    }
    expect(help).toMatch(/AGENT_TOKEN_FILE[\s\S]*Examples:\s+\$ rollcall agent/);
    expect(help).not.toContain('--token');
  });
});
