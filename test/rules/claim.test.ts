import { describe, expect, test } from 'vitest';
import { decideClaim, type Verb } from '../../server/rules/claim.ts';
import { decideMerge, lostNode } from '../../server/rules/restore.ts';
import type { Stored } from '../../server/store/fleet-store.ts';
import { type FleetNode, type Proof, proofSchema, STATUSES } from '../../shared/index.ts';
import { fleetNode, nodeRecord } from '../support/fixtures.ts';

const proofs = proofSchema.options;
const verbs: readonly Verb[] = ['register', 'beat', 'deregister'];

const storedAs = (fields: Partial<FleetNode>): Stored => ({
  kind: 'node',
  record: nodeRecord(fleetNode({ id: 'n', ...fields })),
  restored: false,
});

describe('who may speak for a node', () => {
  /** Strictly less is refused; the row is the speaker, the columns are the incumbent as in `proofs`. */
  const table: Readonly<Record<Proof, readonly boolean[]>> = {
    none: [true, false, false, false],
    token: [true, true, false, false],
    credential: [true, true, true, false],
    certificate: [true, true, true, true],
  };
  const rows = proofs.flatMap((by) =>
    proofs.flatMap((incumbent, column) =>
      STATUSES.flatMap((status) =>
        verbs.map((verb) => ({ by, incumbent, status, verb, granted: table[by][column] })),
      ),
    ),
  );

  test.each(rows)(
    '[TRUST-1] $by to $verb for a node that is $status and of $incumbent: $granted',
    ({ by, incumbent, status, verb, granted }) => {
      const stored = storedAs({ status, trust: { by: incumbent } });
      for (const agentsNeedTokens of [true, false])
        expect(decideClaim({ verb, by, stored, agentsNeedTokens })).toBe(
          granted ? 'granted' : 'not_your_node',
        );
    },
  );

  test.each(proofs)('[TRUST-3] a node that is not there is free for %s, a removed one too', (by) => {
    const ask = { verb: 'register', by, agentsNeedTokens: true } as const;
    expect(decideClaim({ ...ask, stored: { kind: 'nothing' } })).toBe('granted');
    const stored: Stored = { kind: 'gone', tombstone: { id: 'n', version: 7 } };
    expect(decideClaim({ ...ask, stored })).toBe('granted');
  });
});

describe('records of version 0.1, which do not say', () => {
  const connection = (transport: 'websocket' | 'http') => ({
    ...{ hubId: 'hub-1', transport, remoteAddress: '192.0.2.1', since: '2026-03-05T12:00:00.000Z' },
  });
  const agent = { name: 'rollcall', version: '0.1.0' };
  test.each<[string, Partial<FleetNode>, boolean, boolean]>([
    ['a socket', { connection: connection('websocket') }, true, false],
    ['a program that left', { connection: null, agent }, true, false],
    ['requests of a program', { connection: connection('http'), agent }, true, false],
    ['requests of a device', { connection: connection('http') }, true, true],
    ['a device that left', { connection: null }, true, true],
    ['a socket, where no agent needs a token', { connection: connection('websocket') }, false, true],
    ['a program, where no agent needs a token', { connection: null, agent }, false, true],
  ])('[TRUST-5] %s', (_name, fields, agentsNeedTokens, granted) => {
    const { trust: _, ...record } = fleetNode({ id: 'n', ...fields });
    const stored: Stored = { kind: 'node', record: nodeRecord(record), restored: false };
    const verdict = decideClaim({ verb: 'register', by: 'none', stored, agentsNeedTokens });
    expect(verdict).toBe(granted ? 'granted' : 'not_your_node');
    expect(decideClaim({ verb: 'register', by: 'token', stored, agentsNeedTokens })).toBe('granted');
  });
});

test.each<[Proof, Proof, Proof]>([
  ['token', 'none', 'token'],
  ['none', 'token', 'token'],
  ['credential', 'token', 'credential'],
])('[TRUST-4] a loss: the hub knew %s, the store has a newer one of %s', (known, stored, expected) => {
  const older = nodeRecord(fleetNode({ id: 'n', seq: 5, trust: { by: known } }));
  const newer = {
    ...nodeRecord(fleetNode({ id: 'n', seq: 1, trust: { by: stored } })),
    changeId: 'another',
  };
  newer.node.registeredAt = '2027-01-01T00:00:00.000Z';
  const change = decideMerge(
    { lost: lostNode(older, 0), stored: { kind: 'node', record: newer, restored: false } },
    { now: 0, changeId: 'c' },
  );
  expect(change?.record.node.trust).toEqual({ by: expected });
  expect(change?.record.node.seq).toBe(6);
});
