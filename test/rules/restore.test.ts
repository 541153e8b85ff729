import { describe, expect, it } from 'vitest';
import { lostNode as asLost, decideMerge } from '../../server/rules/restore.ts';
import type { LostNode, Tombstone } from '../../server/store/fleet-store.ts';
import { fleetNode, lostNode, nodeRecord } from '../support/fixtures.ts';
import { table } from './rows.ts';

const at = (minute: number): string => `2026-03-01T12:${String(minute).padStart(2, '0')}:00.000Z`;
const stamp = { now: Date.parse(at(50)), changeId: 'merge' };

/** A record at some version, registered and created at some minute. */
const record = (seq: number, registered: number, created = registered) =>
  nodeRecord(fleetNode({ id: 'a', seq, registeredAt: at(registered), createdAt: at(created) }), {
    sessionSeq: 1,
    changeId: `change-${seq}-${registered}`,
  });
const stored = (...of: Parameters<typeof record>) =>
  ({ kind: 'node', record: record(...of), restored: false }) as const;
/** Removed at minute 20: the registration of that minute. */
const removed = (version: number, registered: number): Tombstone => ({
  ...{ id: 'a', version },
  removal: { registeredAt: at(registered), at: at(20) },
});
const gone = (tombstone: Tombstone): LostNode => ({ kind: 'gone', tombstone });

describe('a removal that the store lost', () => {
  it.each([
    { name: 'the registration that was removed', ...{ seq: 4, registered: 10, version: 5 } },
    { name: 'it at the very version of the removal', ...{ seq: 5, registered: 10, version: 5 } },
    { name: 'an earlier registration of an older dump', ...{ seq: 2, registered: 3, version: 5 } },
  ])('[LOSS-6] is put back over $name', ({ seq, registered, version }) => {
    const change = decideMerge({ lost: gone(removed(version, 10)), stored: stored(seq, registered) }, stamp);
    expect(change).toMatchObject({
      removed: true,
      expected: seq,
      event: { type: 'removed', seq: version + 1, to: null, reason: 'store_restored' },
    });
  });

  it('[LOSS-6] is put back over a record that another hub restored, and nothing is written over a removal', () => {
    const lost = gone(removed(5, 10));
    const change = decideMerge({ lost, stored: { ...stored(4, 10), restored: true } }, stamp);
    expect(change).toMatchObject({ removed: true });
    const tombstone = { id: 'a', version: 9 };
    expect(decideMerge({ lost, stored: { kind: 'gone', tombstone } }, stamp)).toBeUndefined();
    expect(decideMerge({ lost, stored: { kind: 'nothing' } }, stamp)).toBeUndefined();
  });

  it.each([
    { name: 'above its version', seq: 6, registered: 30, createdAt: undefined },
    { name: 'counted from nothing', seq: 1, registered: 30, createdAt: at(30) },
    { name: 'counted from what was there before it', seq: 3, registered: 30, created: 2, createdAt: at(30) },
  ])('[LOSS-7] leaves a registration after it: $name', ({ seq, registered, created, createdAt }) => {
    const change = decideMerge(
      { lost: gone(removed(5, 10)), stored: stored(seq, registered, created) },
      stamp,
    );
    if (createdAt === undefined) expect(change).toBeUndefined();
    else
      expect(change).toMatchObject({
        removed: false,
        record: { node: { seq: 6, createdAt, registeredAt: at(registered) } },
        event: { type: 'updated', reason: 'store_restored' },
      });
  });
});

describe('createdAt after a loss', () => {
  it('[LOSS-7] is that of the new registration, where what is stored is from before the removal', () => {
    const lost = { ...lostNode(record(7, 30)), removal: removed(6, 10).removal } as LostNode;
    const change = decideMerge({ lost, stored: stored(3, 10, 5) }, stamp);
    expect(change).toMatchObject({ record: { node: { seq: 8, createdAt: at(30) } } });
  });

  it('[LOSS-4] is the older one where no removal was seen', () => {
    const change = decideMerge({ lost: lostNode(record(7, 30)), stored: stored(3, 10, 5) }, stamp);
    expect(change).toMatchObject({ record: { node: { seq: 8, createdAt: at(5), registeredAt: at(30) } } });
  });
});

describe('a node that a hub knows otherwise than the store', () => {
  interface Row {
    name: string;
    /** Version, minute of the registration and of the creation: what the hub knows, and what the store holds. */
    ours: Parameters<typeof record>;
    theirs: Parameters<typeof record>;
    /** What becomes of it: version, registration, creation, and whether its heartbeat is due anew; or nothing. */
    becomes: { seq: number; registered: number; created: number; deadline: unknown } | 'nothing';
    status?: 'online' | 'offline';
    proofs?: readonly ['none' | 'token', 'none' | 'token'];
  }
  const due = { afterMs: 30_000 };
  table<Row>(
    [
      {
        name: '[LOSS-3] the same change is no difference',
        ...{ ours: [4, 10], theirs: [4, 10], becomes: 'nothing' },
      },
      {
        name: '[LOSS-3] the newer registration wins: ours, above both versions',
        ...{
          ours: [4, 30],
          theirs: [6, 10],
          becomes: { seq: 7, registered: 30, created: 10, deadline: due },
        },
      },
      {
        name: '[LOSS-3] the newer registration wins: theirs, above both versions',
        ...{
          ours: [6, 10],
          theirs: [4, 30],
          becomes: { seq: 7, registered: 30, created: 10, deadline: 'keep' },
        },
      },
      {
        name: '[LOSS-3] theirs stands as it is where it is newer, above ours, and as old',
        ...{ ours: [4, 10], theirs: [6, 30, 10], becomes: 'nothing' },
      },
      {
        name: '[LOSS-4] theirs gets the older creation though it is newer and above ours',
        ...{
          ours: [4, 10],
          theirs: [6, 30],
          becomes: { seq: 7, registered: 30, created: 10, deadline: 'keep' },
        },
      },
      {
        name: '[LOSS-3] of one registration the later version wins: ours',
        ...{
          ours: [6, 10],
          theirs: [4, 10],
          becomes: { seq: 7, registered: 10, created: 10, deadline: due },
        },
      },
      {
        name: '[LOSS-3] of one registration the later version wins: theirs, which stands',
        ...{ ours: [4, 10], theirs: [6, 10], becomes: 'nothing' },
      },
      {
        name: '[LOSS-2] an offline node that wins is not due',
        ...{ ours: [6, 10], theirs: [4, 10], status: 'offline' },
        becomes: { seq: 7, registered: 10, created: 10, deadline: 'never' },
      },
      {
        name: '[TRUST-4] the one whose agent showed more wins: ours, though it is older',
        ...{ ours: [4, 10], theirs: [6, 30], proofs: ['token', 'none'] },
        becomes: { seq: 7, registered: 10, created: 10, deadline: due },
      },
      {
        name: '[TRUST-4] the one whose agent showed more wins: theirs, though it is older',
        ...{ ours: [6, 30], theirs: [4, 10], proofs: ['none', 'token'] },
        becomes: { seq: 7, registered: 10, created: 10, deadline: 'keep' },
      },
    ],
    ({ ours, theirs, becomes, status = 'online', proofs }) => {
      const known = record(...ours);
      const held = stored(...theirs);
      known.node.status = status;
      held.record.node.status = status;
      if (proofs) [known.node.trust, held.record.node.trust] = [{ by: proofs[0] }, { by: proofs[1] }];
      const change = decideMerge({ lost: asLost(known, stamp.now), stored: held }, stamp);
      if (becomes === 'nothing') {
        expect(change).toBeUndefined();
        return;
      }
      const { seq, registered, created, deadline } = becomes;
      expect(change).toMatchObject({
        ...{ expected: theirs[0], removed: false, heartbeat: 'keep', deadline },
        record: { sessionSeq: seq, node: { seq, registeredAt: at(registered), createdAt: at(created) } },
        event: { seq, type: 'updated', from: status, to: status, reason: 'store_restored', node: { seq } },
      });
    },
  );
});

describe('a record that is put back into a store that lost it', () => {
  it('[LOSS-1] is as it was, at its own version, with its removal where one was seen', () => {
    const known = record(4, 10);
    const lost = asLost(known, stamp.now);
    expect(lost).toMatchObject({
      ...{ kind: 'node', record: known },
      event: {
        ...{ seq: 4, type: 'updated', nodeId: 'a', at: at(50) },
        ...{ from: 'online', to: 'online', reason: 'store_restored', node: known.node },
      },
    });
    expect(lost).not.toHaveProperty('removal');
    const { removal } = removed(3, 5);
    expect(asLost(known, stamp.now, removal)).toMatchObject({ removal });
  });
});
