import { expect, it } from 'vitest';
import type { Change, NodeRecord, Stored } from '../../server/store/fleet-store.ts';
import type { Connection, FleetNode } from '../../shared/index.ts';
import { fleetNode, nodeRecord } from '../support/fixtures.ts';

/** A test for each row, whose title is the name of the row. */
export function table<Row extends { name: string }>(rows: readonly Row[], run: (row: Row) => void): void {
  for (const row of rows) it(row.name, () => run(row));
}

/** The rules' tables are written for one moment, and name others by their distance from it. */
const NOW = Date.parse('2026-03-05T12:00:00.000Z');
export const at = (secondsFromNow: number): string => new Date(NOW + secondsFromNow * 1_000).toISOString();
export const msAt = (secondsFromNow: number): number => NOW + secondsFromNow * 1_000;
export const stamp = { now: NOW, changeId: 'this-change' };

/** A node `n` of hub-1 at version 4, registered a minute ago by the session `own`: 10 s between beats, 30 s of patience. */
export function storedNode(
  fields: Partial<FleetNode> = {},
  record: Partial<Omit<NodeRecord, 'node'>> = {},
): Extract<Stored, { kind: 'node' }> {
  const dates = { statusSince: at(-60), registeredAt: at(-60), createdAt: at(-3_600) };
  const evidence = { lastHeartbeatAt: at(-60) };
  const node = fleetNode({ id: 'n', seq: 4, ...dates, evidence, connection: socket, ...fields });
  const known = { session: 'own', sessionSeq: 4, instanceId: 'instance', changeId: 'before', ...record };
  return { kind: 'node', record: nodeRecord(node, known), restored: false };
}
export const nothing: Stored = { kind: 'nothing' };
export const removedAt = (version: number): Stored => ({ kind: 'gone', tombstone: { id: 'n', version } });

const from = { remoteAddress: '192.0.2.1', since: at(-60) };
export const socket: Connection = { hubId: 'hub-1', transport: 'websocket', ...from };
export const requests: Connection = { hubId: 'hub-1', transport: 'http', ...from };

/** A change as the tables write it: `status: online -> offline, agent_stopped`, or `nothing`. */
export function inWords(change: Change | undefined): string {
  if (!change) return 'nothing';
  const { type, from, to, reason } = change.event;
  return `${type}: ${from ?? 'none'} -> ${to ?? 'none'}, ${reason}`;
}

/** Every change of a stored node is its next version, under the name and the time of its stamp. */
export function expectNextVersion(change: Change, stored: Stored, seq = 5): void {
  expect(change).toMatchObject({
    id: 'n',
    expected: stored.kind === 'node' ? stored.record.node.seq : seq - 1,
    record: { changeId: 'this-change' },
    event: { seq, nodeId: 'n', at: at(0) },
  });
  expect(change.event.node).toEqual(change.record.node);
  if (!change.removed) expect(change.record.node.seq).toBe(seq);
}
