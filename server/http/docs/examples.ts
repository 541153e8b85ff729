import type { FleetEvent, FleetNode } from '../../../shared/index.ts';
import { summarize } from '../../../shared/index.ts';

const at = '2026-01-02T09:27:41.446Z';

/** A node for the documentation's examples. */
export const exampleNode: FleetNode = {
  id: '28113561-2e72-490d-8bd7-050d2e7c2d18',
  seq: 1,
  hostname: 'hypervisor-01.local',
  kind: 'hypervisor',
  address: '192.168.1.10:9090',
  labels: { zone: 'us-east-1a', rack: 'rack-42' },
  roles: ['compute'],
  pools: [],
  cpu: { model: 'Intel Xeon E5-2680 v4', sockets: 2, coresPerSocket: 14, threadsPerCore: 2 },
  memory: { totalMib: 262_144, allocatableMib: 245_760 },
  status: 'online',
  reason: 'registered',
  statusSince: at,
  conditions: [],
  evidence: { lastHeartbeatAt: at, hubId: 'hub-1a2b3c4d' },
  heartbeat: { intervalMs: 10_000, timeoutMs: 30_000 },
  connection: { hubId: 'hub-1a2b3c4d', transport: 'http', remoteAddress: '192.168.1.10', since: at },
  createdAt: at,
  registeredAt: at,
};

export const exampleSummary = summarize(exampleNode);

export const exampleStats = { cpuPercent: 35.2, memoryUsedMib: 98_304, memoryTotalMib: 262_144 };

export const exampleEvent: FleetEvent = {
  seq: 1,
  type: 'registered',
  nodeId: exampleNode.id,
  at,
  from: null,
  to: 'online',
  reason: 'registered',
  evidence: exampleNode.evidence,
  node: exampleNode,
};

export const exampleCursor = 'n2kX3J0b5pQ4mYc1lqk7Xw';
export const exampleSession = '5e0c9a3b-5f27-4a38-9a0d-2b3f4e5d6c7b';
export const exampleInstant = at;
