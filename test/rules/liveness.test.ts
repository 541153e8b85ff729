import { describe, expect, it } from 'vitest';
import {
  type Closing,
  decideClose,
  decideConditions,
  decideReturn,
  decideSilence,
  sameConditions,
} from '../../server/rules/liveness.ts';
import type { Change, Stored } from '../../server/store/fleet-store.ts';
import type { Condition, Evidence, FleetNode } from '../../shared/index.ts';
import {
  at,
  expectNextVersion,
  inWords,
  msAt,
  nothing,
  removedAt,
  requests,
  socket,
  stamp,
  storedNode,
  table,
} from './rows.ts';

/** What becomes of a node: the event, what is said of why, its connection, and what becomes of its heartbeat. */
interface Outcome {
  change: string;
  evidence?: Evidence;
  connection?: FleetNode['connection'];
  statusSince?: string;
  heartbeat?: Change['heartbeat'];
  deadline?: Change['deadline'];
  onlyIfSilent?: boolean;
}

function expectOutcome(change: Change | undefined, stored: Stored, outcome: Outcome): void {
  expect(inWords(change)).toBe(outcome.change);
  if (!change) return;
  expectNextVersion(change, stored);
  const { evidence, connection, statusSince, heartbeat, deadline, onlyIfSilent = false } = outcome;
  expect(change).toMatchObject({ removed: false, onlyIfSilent });
  if (evidence) expect(change.record.node.evidence).toEqual(evidence);
  if (evidence) expect(change.event.evidence).toEqual(evidence);
  if (connection !== undefined) expect(change.record.node.connection).toEqual(connection);
  if (statusSince !== undefined) expect(change.record.node.statusSince).toBe(statusSince);
  if (heartbeat !== undefined) expect(change.heartbeat).toEqual(heartbeat);
  if (deadline !== undefined) expect(change.deadline).toEqual(deadline);
  if (stored.kind === 'node') expect(change.record).toMatchObject({ session: 'own', sessionSeq: 4 });
}

const failing: Condition = { type: 'disk', status: 'fail', message: 'full' };
const passing: Condition = { type: 'disk', status: 'ok' };

describe('the end of a socket', () => {
  const goodbye: Closing = {
    ...{ session: 'own', goodbye: true, code: 1000 },
    ...{ lastBeatAt: 5_000, timeoutMs: 30_000 },
  };
  const lost: Closing = { ...goodbye, goodbye: false, code: 1006 };
  /** Hub time; the last heartbeat came 4 s before it. */
  const hubNow = 9_000;
  const seen: Evidence = { lastHeartbeatAt: at(-4), hubId: 'hub-1' };

  interface Row extends Outcome {
    name: string;
    stored: Stored;
    closing: Closing;
  }
  table<Row>(
    [
      {
        name: '[OFF-4] a goodbye ends a node that was online, and its heartbeat',
        ...{ stored: storedNode(), closing: goodbye },
        ...{ change: 'status: online -> offline, agent_stopped', statusSince: at(0), connection: null },
        ...{ evidence: { ...seen, closeCode: 1000 }, heartbeat: 'clear', deadline: 'never' },
      },
      {
        name: '[OFF-4] a goodbye ends a degraded node',
        ...{ stored: storedNode({ status: 'degraded' }), closing: goodbye },
        ...{ change: 'status: degraded -> offline, agent_stopped', heartbeat: 'clear', deadline: 'never' },
      },
      {
        name: '[OFF-4] a goodbye ends an unreachable node',
        ...{ stored: storedNode({ status: 'unreachable' }), closing: goodbye },
        ...{ change: 'status: unreachable -> offline, agent_stopped', heartbeat: 'clear', deadline: 'never' },
      },
      {
        name: '[OFF-4] a goodbye says nothing new of an offline node',
        ...{ stored: storedNode({ status: 'offline' }), closing: goodbye },
        change: 'nothing',
      },
      {
        name: '[CLOSE-1] the reason text of a goodbye stands in the evidence',
        ...{ stored: storedNode(), closing: { ...goodbye, code: 1001, detail: 'reboot' } },
        change: 'status: online -> offline, agent_stopped',
        evidence: { ...seen, closeCode: 1001, detail: 'reboot' },
      },
      {
        name: '[OFF-3] a lost socket makes a node unreachable, and its heartbeat runs on from the last beat',
        ...{ stored: storedNode(), closing: lost },
        ...{ change: 'status: online -> unreachable, connection_lost', statusSince: at(0), connection: null },
        ...{ evidence: { ...seen, closeCode: 1006 }, heartbeat: { lastsMs: 26_000 }, deadline: 'keep' },
      },
      {
        name: '[OFF-3] a lost socket makes a degraded node unreachable',
        ...{ stored: storedNode({ status: 'degraded' }), closing: lost },
        change: 'status: degraded -> unreachable, connection_lost',
      },
      {
        name: '[OFF-3] a lost socket of a node that is unreachable already says nothing new',
        ...{ stored: storedNode({ status: 'unreachable' }), closing: lost },
        change: 'nothing',
      },
      {
        name: '[OFF-3] a lost socket of an offline node says nothing new',
        ...{ stored: storedNode({ status: 'offline' }), closing: lost },
        change: 'nothing',
      },
      {
        name: '[OFF-5] the beat of this very moment gives a lost node its whole timeout',
        ...{ stored: storedNode(), closing: { ...lost, lastBeatAt: hubNow } },
        change: 'status: online -> unreachable, connection_lost',
        ...{ evidence: { ...seen, lastHeartbeatAt: at(0), closeCode: 1006 }, heartbeat: { lastsMs: 30_000 } },
      },
      {
        name: '[OFF-5] a beat that the hub dates after the close is of this moment',
        ...{ stored: storedNode(), closing: { ...lost, lastBeatAt: hubNow + 700 } },
        change: 'status: online -> unreachable, connection_lost',
        ...{ evidence: { ...seen, lastHeartbeatAt: at(0), closeCode: 1006 }, heartbeat: { lastsMs: 30_000 } },
      },
      {
        name: '[OFF-5] where the timeout is over when the socket ends, the stored heartbeat stays as it is',
        ...{ stored: storedNode(), closing: { ...lost, lastBeatAt: hubNow - 30_000 } },
        ...{ change: 'status: online -> unreachable, connection_lost', heartbeat: 'keep' },
      },
      {
        name: '[OFF-3] a node that beats by requests keeps its connection',
        ...{ stored: storedNode({ connection: requests }), closing: lost },
        ...{ change: 'status: online -> unreachable, connection_lost', connection: requests },
      },
      {
        name: '[OFF-3] of a node without a connection no hub is named',
        ...{ stored: storedNode({ connection: null }), closing: lost },
        change: 'status: online -> unreachable, connection_lost',
        evidence: { lastHeartbeatAt: at(-4), closeCode: 1006 },
      },
      {
        name: '[REG-5] [CLOSE-5] the socket of an older session says nothing',
        ...{ stored: storedNode({}, { session: 'newer' }), closing: goodbye },
        change: 'nothing',
      },
      {
        name: '[REG-5] nor does that of a removed node',
        ...{ stored: removedAt(7), closing: goodbye },
        change: 'nothing',
      },
      { name: '[REG-5] nor that of an unknown one', stored: nothing, closing: goodbye, change: 'nothing' },
    ],
    ({ stored, closing, ...outcome }) => {
      expectOutcome(decideClose(stored, closing, hubNow, stamp), stored, outcome);
    },
  );
});

describe('a heartbeat of a node that was given up', () => {
  const elsewhere = { ...socket, hubId: 'hub-2' };
  const beat = { session: 'own', at: msAt(-1), connection: elsewhere };
  const back: Outcome = {
    change: 'status: offline -> online, reconnected',
    ...{ evidence: { lastHeartbeatAt: at(-1), hubId: 'hub-2' }, connection: elsewhere, statusSince: at(0) },
    ...{ heartbeat: 'keep', deadline: { afterMs: 30_000 } },
  };

  interface Row extends Outcome {
    name: string;
    stored: Stored;
    beat?: typeof beat;
  }
  table<Row>(
    [
      {
        name: '[OFF-2] brings an offline node back, on the hub that heard it',
        ...{ stored: storedNode({ status: 'offline' }), ...back },
      },
      {
        name: '[OFF-2] brings an unreachable node back',
        stored: storedNode({ status: 'unreachable' }),
        ...{ ...back, change: 'status: unreachable -> online, reconnected' },
      },
      {
        name: '[COND-1] brings a node back degraded while a condition lasts',
        ...{ stored: storedNode({ status: 'offline', conditions: [failing] }), ...back },
        change: 'status: offline -> degraded, reconnected',
      },
      {
        name: '[OFF-2] is due again after the timeout of the node, not of the hub',
        stored: storedNode({ status: 'offline', heartbeat: { intervalMs: 60_000, timeoutMs: 180_000 } }),
        ...{ ...back, deadline: { afterMs: 180_000 } },
      },
      { name: '[OFF-2] says nothing new of a node that is online', stored: storedNode(), change: 'nothing' },
      {
        name: '[OFF-2] says nothing new of a degraded one',
        stored: storedNode({ status: 'degraded' }),
        change: 'nothing',
      },
      {
        name: '[OFF-2] proves nothing where it is from before the node was given up',
        stored: storedNode({ status: 'offline', statusSince: at(-0.5) }),
        change: 'nothing',
      },
      {
        name: '[OFF-2] counts from the very moment on',
        ...{ stored: storedNode({ status: 'offline', statusSince: at(-1) }), ...back },
      },
      {
        name: '[CLK-3] proves nothing where the two clocks differ by a second at most',
        stored: storedNode({ status: 'offline', statusSince: at(1) }),
        change: 'nothing',
      },
      {
        name: '[CLK-3] brings a node back from a status of the future, dated by a wrong clock',
        ...{ stored: storedNode({ status: 'offline', statusSince: at(1.001) }), ...back },
      },
      {
        name: '[OFF-2] is nothing where it is of an older session',
        stored: storedNode({ status: 'offline' }, { session: 'newer' }),
        change: 'nothing',
      },
      { name: '[OFF-2] is nothing where the node was removed', stored: removedAt(7), change: 'nothing' },
      { name: '[OFF-2] is nothing where the node is unknown', stored: nothing, change: 'nothing' },
    ],
    ({ stored, beat: heard = beat, ...outcome }) => {
      expectOutcome(decideReturn(stored, heard, stamp), stored, outcome);
    },
  );
});

describe('a heartbeat that ran out', () => {
  const seen: Evidence = { lastHeartbeatAt: at(-32), hubId: 'hub-1' };
  const ended = { connection: null, heartbeat: 'clear', deadline: 'never', onlyIfSilent: true } as const;

  interface Row extends Outcome {
    name: string;
    stored: ReturnType<typeof storedNode>;
    /** Whether the hub that held the socket holds no lease any more. */
    hubIsGone: boolean;
  }
  table<Row>(
    [
      {
        name: '[OFF-1] of a node on a living hub: offline',
        ...{ stored: storedNode(), hubIsGone: false, ...ended },
        ...{ change: 'status: online -> offline, heartbeat_timeout', statusSince: at(0) },
        evidence: { ...seen, detail: 'no heartbeat for 30s' },
      },
      {
        name: '[OFF-1] of a degraded node on a living hub: offline',
        ...{ stored: storedNode({ status: 'degraded' }), hubIsGone: false, ...ended },
        change: 'status: degraded -> offline, heartbeat_timeout',
        evidence: { ...seen, detail: 'no heartbeat for 30s' },
      },
      {
        name: '[OFF-1] of a node that beats by requests: offline, whether or not its hub is gone',
        ...{ stored: storedNode({ connection: requests }), hubIsGone: true, ...ended },
        ...{ change: 'status: online -> offline, heartbeat_timeout', connection: requests },
        evidence: { ...seen, detail: 'no heartbeat for 30s' },
      },
      {
        name: '[OFF-1] of a node without a connection: offline',
        ...{ stored: storedNode({ connection: null }), hubIsGone: true, ...ended },
        change: 'status: online -> offline, heartbeat_timeout',
        evidence: { lastHeartbeatAt: at(-32), detail: 'no heartbeat for 30s' },
      },
      {
        name: '[FAILOVER-1] of a node whose hub is gone: unreachable for one more timeout',
        ...{ stored: storedNode(), hubIsGone: true, onlyIfSilent: true },
        ...{ change: 'status: online -> unreachable, hub_lost', statusSince: at(0), connection: null },
        evidence: { ...seen, detail: 'hub hub-1 holds no lease any more' },
        ...{ heartbeat: 'keep', deadline: { afterMs: 30_000 } },
      },
      {
        name: '[FAILOVER-1] of a degraded node whose hub is gone: unreachable too',
        ...{ stored: storedNode({ status: 'degraded' }), hubIsGone: true, onlyIfSilent: true },
        ...{ change: 'status: degraded -> unreachable, hub_lost', deadline: { afterMs: 30_000 } },
      },
      {
        name: '[OFF-3] of a node that lost its socket: offline, with the evidence of the close',
        stored: storedNode({
          ...{ status: 'unreachable', connection: null },
          evidence: { lastHeartbeatAt: at(-40), hubId: 'hub-9', closeCode: 1006 },
        }),
        ...{ hubIsGone: true, ...ended, change: 'status: unreachable -> offline, heartbeat_timeout' },
        evidence: {
          ...{ lastHeartbeatAt: at(-40), hubId: 'hub-9', closeCode: 1006 },
          detail: 'no heartbeat and no return for 30s',
        },
      },
      {
        name: '[OFF-1] of an offline node: nothing new',
        ...{ stored: storedNode({ status: 'offline' }), hubIsGone: false, change: 'nothing' },
      },
    ],
    ({ stored, hubIsGone, ...outcome }) => {
      const silent = { record: stored.record, overdueMs: 2_000 };
      expectOutcome(decideSilence(silent, hubIsGone, stamp), stored, outcome);
    },
  );
});

describe('the conditions that an agent reports', () => {
  const own = (...conditions: Condition[]) => ({ session: 'own', conditions });
  const heard = { lastHeartbeatAt: at(0), hubId: 'hub-1' };
  const raid: Condition = { type: 'raid', status: 'fail' };
  const kept = { heartbeat: 'keep', deadline: 'keep' } as const;
  const degraded = (...conditions: Condition[]) => storedNode({ status: 'degraded', conditions });

  interface Row extends Outcome {
    name: string;
    stored: Stored;
    reported: ReturnType<typeof own>;
    conditions?: readonly Condition[];
  }
  table<Row>(
    [
      {
        name: '[COND-1] the first that fails degrades a node, and says which',
        ...{ stored: storedNode(), reported: own(failing), conditions: [failing], ...kept },
        ...{ change: 'status: online -> degraded, condition_failed', statusSince: at(0) },
        evidence: { ...heard, detail: 'disk: full' },
      },
      {
        name: '[COND-1] several are sorted by type, and those that fail are named',
        ...{ stored: storedNode(), reported: own(raid, { type: 'fan', status: 'ok' }, failing) },
        conditions: [failing, { type: 'fan', status: 'ok' }, raid],
        change: 'status: online -> degraded, condition_failed',
        evidence: { ...heard, detail: 'disk: full; raid' },
      },
      {
        name: '[COND-1] where none fails any more, the node is online again',
        ...{ stored: degraded(failing), reported: own(passing), conditions: [passing], ...kept },
        ...{ change: 'status: degraded -> online, condition_cleared', evidence: heard, statusSince: at(0) },
      },
      {
        name: '[COND-1] one that warns does not degrade a node',
        ...{ stored: storedNode(), reported: own({ type: 'disk', status: 'warn' }) },
        change: 'updated: online -> online, condition_cleared',
      },
      {
        name: '[COND-1] an empty report clears as well',
        ...{ stored: degraded(failing), reported: own(), conditions: [], evidence: heard },
        change: 'status: degraded -> online, condition_cleared',
      },
      {
        name: '[COND-1] a second one that fails updates a degraded node',
        ...{ stored: degraded(failing), reported: own(failing, raid), conditions: [failing, raid], ...kept },
        ...{
          change: 'updated: degraded -> degraded, condition_failed',
          evidence: { lastHeartbeatAt: at(-60) },
        },
        statusSince: at(-60),
      },
      {
        name: '[COND-1] another text of the same condition updates the node',
        ...{ stored: degraded(failing), reported: own({ ...failing, message: 'fuller' }) },
        change: 'updated: degraded -> degraded, condition_failed',
      },
      {
        name: '[COND-1] one that passes updates a node that is online',
        ...{ stored: storedNode(), reported: own(passing), conditions: [passing], ...kept },
        ...{ change: 'updated: online -> online, condition_cleared', evidence: { lastHeartbeatAt: at(-60) } },
      },
      {
        name: '[COND-1] the same as before says nothing new',
        ...{ stored: degraded(failing, raid), reported: own(failing, raid), change: 'nothing' },
      },
      {
        name: '[COND-1] nor does the same in another order',
        ...{ stored: degraded(failing, raid), reported: own(raid, failing), change: 'nothing' },
      },
      {
        name: '[COND-1] a node that is out of contact stays so, and has the conditions when it returns',
        ...{ stored: storedNode({ status: 'unreachable' }), reported: own(failing), conditions: [failing] },
        ...{ change: 'updated: unreachable -> unreachable, condition_failed', statusSince: at(-60) },
      },
      {
        name: '[COND-1] a node without a connection: no hub is named',
        ...{ stored: storedNode({ connection: null }), reported: own(raid) },
        ...{ change: 'status: online -> degraded, condition_failed' },
        evidence: { lastHeartbeatAt: at(0), detail: 'raid' },
      },
      {
        name: '[COND-1] those of an older session are nothing',
        ...{ stored: storedNode({}, { session: 'newer' }), reported: own(failing), change: 'nothing' },
      },
      {
        name: '[COND-1] those of a removed node are nothing',
        ...{ stored: removedAt(7), reported: own(failing), change: 'nothing' },
      },
    ],
    ({ stored, reported, conditions, ...outcome }) => {
      const change = decideConditions(stored, reported, stamp);
      expectOutcome(change, stored, outcome);
      if (conditions) expect(change?.record.node.conditions).toEqual(conditions);
    },
  );

  it('[COND-1] are told with 1,024 characters at most', () => {
    const many = Array.from({ length: 32 }, (_, n) => ({
      ...failing,
      type: `c${n}`,
      message: 'x'.repeat(60),
    }));
    const change = decideConditions(storedNode(), own(...many), stamp);
    expect(change?.event.evidence.detail).toHaveLength(1_024);
  });

  it.each([
    { name: 'none and none', one: [], other: [], same: true },
    { name: 'one and none', one: [failing], other: [], same: false },
    { name: 'another type', one: [failing], other: [{ ...failing, type: 'd' }], same: false },
    { name: 'another status', one: [failing], other: [{ ...failing, status: 'ok' as const }], same: false },
    { name: 'another text', one: [failing], other: [{ ...failing, message: 'm' }], same: false },
    { name: 'another order', one: [failing, raid], other: [raid, failing], same: true },
    { name: 'twice one of two', one: [failing, raid], other: [raid, raid], same: false },
  ])('two reports, $name: the same is $same', ({ one, other, same }) => {
    expect(sameConditions(one, other)).toBe(same);
  });
});
