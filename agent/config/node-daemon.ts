/**
 * The settings of the node daemon of `connect` hypervisors, which this agent replaces: a rollout swaps the binary and
 * keeps the unit file. This is its settings file, read where one of its flags is given and no other file is named.
 */
export const NODE_DAEMON_CONFIG = '/etc/limiquantix/node.yaml';

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const sections = ['node', 'server', 'control_plane'] as const;

/** Whether a file is laid out as that daemon's: in sections, where our own is flat. */
export function isNodeDaemonLayout(content: Readonly<Record<string, unknown>>): boolean {
  return sections.some((section) => isObject(content[section]));
}

interface NodeDaemonSettings {
  /** Our own keys: value, and the name that it has in the file. */
  settings: Map<string, { value: unknown; name: string }>;
  problems: string[];
}

/** That daemon's file in our own keys. Keys that we have no use for are passed over. */
export function readNodeDaemonLayout(content: Readonly<Record<string, unknown>>): NodeDaemonSettings {
  const [node, server, plane] = sections.map((section) => {
    const value = content[section];
    return isObject(value) ? value : {};
  });
  const settings: NodeDaemonSettings['settings'] = new Map();
  const problems: string[] = [];
  const put = (key: string, value: unknown, name: string) => {
    if (value !== undefined && value !== null) settings.set(key, { value, name });
  };
  put('nodeId', node?.id, 'node.id');
  put('hostname', node?.hostname, 'node.hostname');
  put('labels', node?.labels, 'node.labels');
  put('hubUrl', plane?.address, 'control_plane.address');
  put('heartbeatInterval', plane?.heartbeat_interval_secs, 'control_plane.heartbeat_interval_secs');
  for (const [key, value] of Object.entries(fromListenAddress(server?.listen_address))) {
    put(key, value, 'server.listen_address');
  }
  if (/^false$/i.test(String(plane?.registration_enabled))) {
    problems.push('control_plane.registration_enabled: is false, and this agent does nothing but register');
  }
  return { settings, problems };
}

/**
 * What a listen address says of where the node is reached: its port behind the detected address, or the whole
 * of it where it names a host.
 */
export function fromListenAddress(listen: unknown): { address?: string; port?: string } {
  if (typeof listen !== 'string') return {};
  const [, host = '', port] = /^(.*?)(?::(\d{1,5}))?$/.exec(listen.trim()) ?? [];
  const anywhere = host === '' || host === '0.0.0.0' || host === '[::]' || host === '*';
  if (!anywhere) return { address: listen.trim() };
  return port === undefined ? {} : { port };
}
