import { describe, expect, it } from 'vitest';
import { fromListenAddress, NODE_DAEMON_CONFIG } from '../../agent/config/node-daemon.ts';
import { readAgentSettings, SettingsError } from '../../agent/config/settings.ts';
import { agentSettings } from '../../cli/agent.ts';

/** As the documentation of that daemon prints it. */
const nodeYaml = `
# /etc/limiquantix/node.yaml
node:
  id: my-node-01  # Optional, auto-generated if not set
  hostname: hypervisor-01.local  # Optional, auto-detected
  labels:
    zone: us-east-1a
    rack: rack-42

server:
  listen_address: 0.0.0.0:9090

control_plane:
  address: http://control-plane:8080
  registration_enabled: true
  heartbeat_interval_secs: 30
`;

const absent = (): never => {
  throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
};

describe('settings of the agents that this one replaces', () => {
  it('[AGENT-1] the YAML layout of the Connect node daemon is read, from its default path where no file is named', () => {
    const readFile = (path: string): string => (path === NODE_DAEMON_CONFIG ? nodeYaml : absent());
    const settings = readAgentSettings({ defaultConfig: NODE_DAEMON_CONFIG, readFile });
    expect(settings).toMatchObject({
      nodeId: 'my-node-01',
      hostname: 'hypervisor-01.local',
      labels: { zone: 'us-east-1a', rack: 'rack-42' },
      hubUrl: ['ws://control-plane:8080/agent'],
      heartbeatInterval: 30_000,
      port: 9_090,
    });
    expect(readAgentSettings({ flags: { config: NODE_DAEMON_CONFIG }, readFile }).nodeId).toBe('my-node-01');
  });

  it.each([
    ...[
      { register: true },
      { controlPlane: ['http://a'] },
      { listen: '0.0.0.0:1' },
      { httpListen: '0.0.0.0:2' },
    ],
  ])('[AGENT-1] the default path is read with the flag %j', (flags) => {
    const readFile = (path: string): string => (path === NODE_DAEMON_CONFIG ? nodeYaml : absent());
    expect(agentSettings(flags, {}, readFile).nodeId).toBe('my-node-01');
  });

  it('[AGENT-1] the default path is not read without one of those flags, nor where a file is named', () => {
    const read: string[] = [];
    const readFile = (path: string): string => {
      read.push(path);
      return 'nodeId: mine';
    };
    expect(agentSettings({ dev: true, nodeId: 'n' }, {}, readFile).nodeId).toBe('n');
    expect(read).toEqual([]);
    expect(agentSettings({ register: true, config: 'own.yaml' }, {}, readFile).nodeId).toBe('mine');
    expect(new Set(read)).toEqual(new Set(['own.yaml']));
  });

  it('[AGENT-2] a default file that is not there is none; one that cannot be read, or turns registering off, is an error', () => {
    expect(readAgentSettings({ defaultConfig: NODE_DAEMON_CONFIG, readFile: absent }).nodeId).toBeUndefined();
    const denied = () => {
      throw Object.assign(new Error('permission denied'), { code: 'EACCES' });
    };
    expect(() => readAgentSettings({ defaultConfig: NODE_DAEMON_CONFIG, readFile: denied })).toThrow(
      SettingsError,
    );
    const off = nodeYaml.replace('registration_enabled: true', 'registration_enabled: false');
    expect(() => readAgentSettings({ defaultConfig: NODE_DAEMON_CONFIG, readFile: () => off })).toThrow(
      'registration_enabled',
    );
  });

  it('[AGENT-3] the environment of the agents of game hosts: seconds, the time for one answer, failures, the orchestrator', () => {
    const env = {
      NODE_ID: 'node-1',
      ORCHESTRATOR_URL: 'http://satisfactory-orchestrator:8080',
      HEARTBEAT_INTERVAL: '10',
      HEARTBEAT_TIMEOUT: '5',
      MAX_HEARTBEAT_FAILURES: '2',
    };
    expect(readAgentSettings({ env })).toMatchObject({
      nodeId: 'node-1',
      hubUrl: ['ws://satisfactory-orchestrator:8080/agent'],
      heartbeatInterval: 10_000,
      answerTimeout: 5_000,
      maxHeartbeatFailures: 2,
    });
    expect(readAgentSettings({ env: { ...env, HUB_URL: 'ws://other:1/agent' } }).hubUrl).toEqual([
      'ws://other:1/agent',
    ]);
    expect(() => readAgentSettings({ env: { MAX_HEARTBEAT_FAILURES: '0' } })).toThrow(
      'MAX_HEARTBEAT_FAILURES',
    );
  });

  it('[AGENT-4] a listen address gives its port, or the whole address where it names a host', () => {
    expect(fromListenAddress('0.0.0.0:9090')).toEqual({ port: '9090' });
    expect(fromListenAddress('[::]:9090')).toEqual({ port: '9090' });
    expect(fromListenAddress('127.0.0.1:9090')).toEqual({ address: '127.0.0.1:9090' });
    expect(fromListenAddress(undefined)).toEqual({});
  });
});
