import { describe, expect, it } from 'vitest';
import { DOCUMENT_CONFIG, fromListenAddress } from '../../agent/config/document-settings.ts';
import { readAgentSettings, SettingsError } from '../../agent/config/settings.ts';

/** As document 000 prints it. */
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
  it('[AGENT-50] the YAML layout of document 000 is read, from its default path where no file is named', () => {
    const readFile = (path: string): string => (path === DOCUMENT_CONFIG ? nodeYaml : absent());
    const settings = readAgentSettings({ defaultConfig: DOCUMENT_CONFIG, readFile });
    expect(settings).toMatchObject({
      nodeId: 'my-node-01',
      hostname: 'hypervisor-01.local',
      labels: { zone: 'us-east-1a', rack: 'rack-42' },
      hubUrl: ['ws://control-plane:8080/agent'],
      heartbeatInterval: 30_000,
      port: 9_090,
    });
    expect(readAgentSettings({ flags: { config: DOCUMENT_CONFIG }, readFile }).nodeId).toBe('my-node-01');
  });

  it('[AGENT-51] a default file that is not there is none; one that cannot be read, or turns registering off, is an error', () => {
    expect(readAgentSettings({ defaultConfig: DOCUMENT_CONFIG, readFile: absent }).nodeId).toBeUndefined();
    const denied = () => {
      throw Object.assign(new Error('permission denied'), { code: 'EACCES' });
    };
    expect(() => readAgentSettings({ defaultConfig: DOCUMENT_CONFIG, readFile: denied })).toThrow(
      SettingsError,
    );
    const off = nodeYaml.replace('registration_enabled: true', 'registration_enabled: false');
    expect(() => readAgentSettings({ defaultConfig: DOCUMENT_CONFIG, readFile: () => off })).toThrow(
      'registration_enabled',
    );
  });

  it("[AGENT-52] document 004's environment: seconds, the time for one answer, failures, the orchestrator", () => {
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

  it('[AGENT-53] a listen address gives its port, or the whole address where it names a host', () => {
    expect(fromListenAddress('0.0.0.0:9090')).toEqual({ port: '9090' });
    expect(fromListenAddress('[::]:9090')).toEqual({ port: '9090' });
    expect(fromListenAddress('127.0.0.1:9090')).toEqual({ address: '127.0.0.1:9090' });
    expect(fromListenAddress(undefined)).toEqual({});
  });
});
