import { describe, expect } from 'vitest';
import { decideRemoval, type RemovalAsk } from '../../server/rules/removal.ts';
import type { Stored } from '../../server/store/fleet-store.ts';
import type { Evidence } from '../../shared/index.ts';
import { at, expectNextVersion, inWords, nothing, removedAt, stamp, storedNode, table } from './rows.ts';

const own: RemovalAsk = { reason: 'deregistered', session: 'own' };
const operator: RemovalAsk = { reason: 'removed_by_operator', by: 'anna', remoteAddress: '192.0.2.9' };
const onlyIf = (only: NonNullable<Extract<RemovalAsk, { reason: 'removed_by_operator' }>['only']>) => ({
  ...operator,
  only,
});

describe('a removal', () => {
  interface Row {
    name: string;
    stored: Stored;
    ask: RemovalAsk;
    change: string;
    evidence?: Evidence;
  }
  const seen = { lastHeartbeatAt: at(-60) };
  const byAgent = 'removed: online -> none, deregistered';
  const byOperator = 'removed: online -> none, removed_by_operator';
  table<Row>(
    [
      {
        name: '[REM-1] by the session that speaks for the node',
        ...{ stored: storedNode(), ask: own, change: byAgent, evidence: seen },
      },
      {
        name: '[REM-1] by its agent, which says why',
        ...{ stored: storedNode(), ask: { ...own, detail: 'scrapped' }, change: byAgent },
        evidence: { ...seen, detail: 'scrapped' },
      },
      {
        name: '[REM-1] of an offline node by its agent',
        ...{ stored: storedNode({ status: 'offline' }), ask: own },
        change: 'removed: offline -> none, deregistered',
      },
      {
        name: '[REM-1] by an older session is none',
        ...{ stored: storedNode({}, { session: 'newer' }), ask: own, change: 'nothing' },
      },
      {
        name: '[REM-2] by an operator, whose name stands in the event, and whose address does not',
        ...{ stored: storedNode(), ask: operator, change: byOperator, evidence: { ...seen, by: 'anna' } },
      },
      {
        name: '[AUTH-10] by an operator without a name leaves out who registered the node',
        stored: storedNode({ evidence: { ...seen, by: 'rack token' } }),
        ...{ ask: { reason: 'removed_by_operator' }, change: byOperator, evidence: seen },
      },
      {
        name: '[REM-2] by an operator of the version that was seen',
        ...{ stored: storedNode(), ask: onlyIf({ seqs: [3, 4] }), change: byOperator },
      },
      {
        name: '[REM-2] by an operator of another version is none',
        ...{ stored: storedNode(), ask: onlyIf({ seqs: [3, 5] }), change: 'nothing' },
      },
      {
        name: '[REM-2] by an operator of a node that the filter takes',
        ...{ stored: storedNode({ status: 'offline' }), ask: onlyIf({ filter: { status: ['offline'] } }) },
        change: 'removed: offline -> none, removed_by_operator',
      },
      {
        name: '[REM-2] by an operator of a node that the filter does not take any more is none',
        ...{ stored: storedNode(), ask: onlyIf({ filter: { status: ['offline'] } }), change: 'nothing' },
      },
      {
        name: '[REM-2] by an operator needs both, the version and the filter',
        stored: storedNode(),
        ...{ ask: onlyIf({ seqs: [4], filter: { status: ['offline'] } }), change: 'nothing' },
      },
      { name: '[REM-1] of a removed node is none', stored: removedAt(7), ask: operator, change: 'nothing' },
      { name: '[REM-1] of an unknown node is none', stored: nothing, ask: operator, change: 'nothing' },
    ],
    ({ stored, ask, change: words, evidence }) => {
      const change = decideRemoval(stored, ask, stamp);
      expect(inWords(change)).toBe(words);
      if (!change || stored.kind !== 'node') return;
      expectNextVersion(change, stored);
      expect(change).toMatchObject({
        removed: true,
        onlyIfSilent: false,
        heartbeat: 'clear',
        deadline: 'never',
      });
      // The event shows the node as it was.
      expect(change.event.node).toEqual(stored.record.node);
      if (evidence) expect(change.event.evidence).toEqual(evidence);
    },
  );
});
