import { randomUUID } from 'node:crypto';
import type { Change, LostNode, NodeRecord } from '../../server/store/fleet-store.ts';
import type { FleetEvent, FleetNode, NodeFacts, Reason, Status } from '../../shared/index.ts';

/** A moment that all fixtures share. */
export const someInstant = '2026-03-01T12:00:00.000Z';

/** A node that just registered, valid by its schema. */
export function fleetNode(overrides: Partial<FleetNode> & { id: string }): FleetNode {
  return {
    seq: 1,
    hostname: `${overrides.id}.example`,
    labels: {},
    roles: [],
    pools: [],
    status: 'online',
    reason: 'registered',
    statusSince: someInstant,
    conditions: [],
    evidence: {},
    heartbeat: { intervalMs: 10_000, timeoutMs: 30_000 },
    connection: { hubId: 'hub-1', transport: 'websocket', remoteAddress: '127.0.0.1', since: someInstant },
    createdAt: someInstant,
    registeredAt: someInstant,
    ...overrides,
  };
}

/** A record around a node: a session and a change of its own. */
export function nodeRecord(node: FleetNode, overrides: Partial<Omit<NodeRecord, 'node'>> = {}): NodeRecord {
  return {
    node,
    session: randomUUID(),
    sessionSeq: node.seq,
    instanceId: randomUUID(),
    changeId: randomUUID(),
    ...overrides,
  };
}

/** The event that tells of a record, at its `statusSince`. */
export function eventOf(
  { node }: NodeRecord,
  { type = 'status', from = node.status }: { type?: FleetEvent['type']; from?: Status | null } = {},
): FleetEvent {
  return {
    seq: node.seq,
    type,
    nodeId: node.id,
    at: node.statusSince,
    from,
    to: node.status,
    reason: node.reason,
    evidence: node.evidence,
    node,
  };
}

export interface Registration {
  id: string;
  session?: string;
  /** The stored version that it follows; 0 where there is nothing. */
  expected?: number;
  timeoutMs?: number;
  at?: string;
  facts?: Partial<NodeFacts>;
}

/** A registration: the heartbeat is set, and looked at when it is due. */
export function registration({
  id,
  session = randomUUID(),
  expected = 0,
  timeoutMs = 30_000,
  at = someInstant,
  facts = {},
}: Registration): Change {
  const seq = expected + 1;
  const { nodeId: _, ...known } = facts;
  const heartbeat = { intervalMs: Math.ceil(timeoutMs / 3), timeoutMs };
  const times = { statusSince: at, createdAt: at, registeredAt: at };
  const record = nodeRecord(fleetNode({ id, seq, heartbeat, ...times, ...known }), { session });
  return {
    id,
    expected,
    record,
    event: eventOf(record, { type: 'registered', from: null }),
    removed: false,
    onlyIfSilent: false,
    heartbeat: { lastsMs: timeoutMs },
    deadline: { afterMs: timeoutMs },
  };
}

/** The next change of a node's status. The heartbeat stays as it is unless told otherwise. */
export function statusChange(
  before: NodeRecord,
  to: { status: Status; reason: Reason; at?: string } & Partial<
    Pick<Change, 'onlyIfSilent' | 'heartbeat' | 'deadline'>
  >,
): Change {
  const { status, reason, at = someInstant, ...rest } = to;
  const seq = before.node.seq + 1;
  const node: FleetNode = { ...before.node, seq, status, reason, statusSince: at };
  const record: NodeRecord = { ...before, node, changeId: randomUUID() };
  return {
    id: node.id,
    expected: before.node.seq,
    record,
    event: eventOf(record, { from: before.node.status }),
    removed: false,
    onlyIfSilent: false,
    heartbeat: 'keep',
    deadline: 'keep',
    ...rest,
  };
}

/** The removal of a node; its event shows the record before it. */
export function removal(before: NodeRecord, reason: Reason = 'deregistered'): Change {
  const seq = before.node.seq + 1;
  const record: NodeRecord = { ...before, node: { ...before.node, seq, reason }, changeId: randomUUID() };
  const event: FleetEvent = {
    ...eventOf(record, { type: 'removed', from: before.node.status }),
    to: null,
    node: before.node,
  };
  return {
    id: before.node.id,
    expected: before.node.seq,
    record,
    event,
    removed: true,
    onlyIfSilent: false,
    heartbeat: 'clear',
    deadline: 'never',
  };
}

/** A record that a hub knows and its store may have lost. */
export function lostNode(record: NodeRecord): LostNode {
  const event: FleetEvent = { ...eventOf(record, { type: 'updated' }), reason: 'store_restored' };
  return { kind: 'node', record, event };
}

/** Every kind of fact that a machine may tell of itself, with text from many scripts. */
export const manyFacts: Partial<NodeFacts> = {
  machineId: 'f00d',
  kind: 'gpu-node',
  address: '10.0.0.7:9100',
  location: 'Zürich / 東京 / Москва',
  labels: { 'topology.example/zone': 'ä\u00a0ö 🛰️', constructor: 'x', toString: 'y' },
  roles: ['worker', 'עובד'],
  pools: ['pool-a'],
  capabilities: { nested: [[], {}, null, [{ deep: [1.5, -0.25, 1e21] }]], big: 9_007_199_254_740_991 },
  cpu: { model: 'A "quoted" \\ model', cores: 64 },
  memory: { totalMib: 515_000 },
  capacity: {},
  metadata: { 'with \u2028 separator': '€𝄞', empty: '' },
  agent: { name: 'rollcall', version: '0.1.0' },
};
