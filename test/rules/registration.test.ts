import { describe, expect } from 'vitest';
import {
  decideDuplicate,
  decideRegistration,
  decideUpdate,
  type Registration,
} from '../../server/rules/registration.ts';
import type { Change, Stored } from '../../server/store/fleet-store.ts';
import type { Condition, FleetNode } from '../../shared/index.ts';
import {
  at,
  expectNextVersion,
  inWords,
  nothing,
  removedAt,
  requests,
  socket,
  stamp,
  storedNode,
  table,
} from './rows.ts';

const failing: Condition = { type: 'disk', status: 'fail' };
const here = { ...socket, hubId: 'hub-2', since: at(0) };

/** A registration of `n` by a new start of its agent, over a socket of hub-2. */
const registration = (fields: Partial<Registration> = {}): Registration => ({
  ...{ id: 'n', session: 'new', instanceId: 'restarted' },
  facts: { nodeId: 'n', hostname: 'n.example', labels: { zone: 'b' }, roles: [], pools: [] },
  timing: { intervalMs: 20_000, timeoutMs: 60_000 },
  ...{ connection: here, principal: { by: 'token' }, ...fields },
});

describe('a registration', () => {
  interface Row {
    name: string;
    stored: Stored;
    by?: Partial<Registration>;
    change: string;
    seq?: number;
    node?: Partial<FleetNode>;
  }
  table<Row>(
    [
      {
        name: '[REG-1] of an unknown node makes version 1, created now',
        ...{ stored: nothing, seq: 1, change: 'registered: none -> online, registered' },
        node: { createdAt: at(0), registeredAt: at(0), statusSince: at(0), conditions: [] },
      },
      {
        name: '[REG-1] says when and by which hub',
        ...{ stored: nothing, seq: 1, change: 'registered: none -> online, registered' },
        node: { evidence: { lastHeartbeatAt: at(0), hubId: 'hub-2' }, connection: here },
      },
      {
        name: '[REM-1] of a removed node goes on at the next version, created anew',
        ...{ stored: removedAt(7), seq: 8, change: 'registered: none -> online, registered' },
        node: { createdAt: at(0) },
      },
      {
        name: '[REG-4] of another start of the agent, while the node is online, supersedes it',
        ...{ stored: storedNode(), change: 'reregistered: online -> online, superseded' },
        node: { createdAt: at(-3_600), registeredAt: at(0), statusSince: at(-60) },
      },
      {
        name: '[REG-4] of another start, while the node is degraded, supersedes it, and what fails still fails',
        stored: storedNode({ status: 'degraded', conditions: [failing] }),
        change: 'reregistered: degraded -> degraded, superseded',
        node: { conditions: [failing], statusSince: at(-60) },
      },
      {
        name: '[REG-4] of the same start reconnects',
        ...{ stored: storedNode(), by: { instanceId: 'instance' } },
        change: 'reregistered: online -> online, reconnected',
      },
      {
        name: '[REG-4] of another start, after the node was offline, reconnects',
        ...{
          stored: storedNode({ status: 'offline' }),
          change: 'reregistered: offline -> online, reconnected',
        },
        node: { statusSince: at(0), createdAt: at(-3_600) },
      },
      {
        name: '[REG-4] of another start, after the node was unreachable, reconnects',
        stored: storedNode({ status: 'unreachable' }),
        change: 'reregistered: unreachable -> online, reconnected',
      },
      {
        name: '[COND-3] brings an offline node back degraded while what an earlier start reported lasts',
        stored: storedNode({ status: 'offline', conditions: [failing] }),
        change: 'reregistered: offline -> degraded, reconnected',
        node: { conditions: [failing], statusSince: at(0) },
      },
      {
        name: '[REG-6] replaces all facts: what is not said any more is gone',
        stored: storedNode({ kind: 'gpu', location: 'rack 1', labels: { zone: 'a' } }),
        change: 'reregistered: online -> online, superseded',
        node: { hostname: 'n.example', labels: { zone: 'b' } },
      },
      {
        name: '[TRUST-2] is held by what its agent showed',
        ...{
          stored: storedNode({ trust: { by: 'none' } }),
          change: 'reregistered: online -> online, superseded',
        },
        node: { trust: { by: 'token' } },
      },
      {
        name: '[AUTH-10] names its token',
        ...{ stored: nothing, by: { principal: { by: 'token', name: 'rack' } }, seq: 1 },
        change: 'registered: none -> online, registered',
        node: { evidence: { lastHeartbeatAt: at(0), hubId: 'hub-2', by: 'rack' } },
      },
      {
        name: '[NAME-3] names the other node of its host name',
        ...{
          stored: nothing,
          by: { duplicate: 'm' },
          seq: 1,
          change: 'registered: none -> online, registered',
        },
        node: {
          evidence: {
            ...{ lastHeartbeatAt: at(0), hubId: 'hub-2' },
            detail: 'node m has the same host name in another spelling',
          },
        },
      },
    ],
    ({ stored, by, change: words, seq = 5, node = {} }) => {
      const change = decideRegistration(stored, registration(by), stamp);
      expect(inWords(change)).toBe(words);
      expectNextVersion(change, stored, seq);
      expect(change.record.node).toMatchObject({
        id: 'n',
        heartbeat: { intervalMs: 20_000, timeoutMs: 60_000 },
      });
      for (const gone of ['nodeId', 'kind', 'location']) expect(change.record.node).not.toHaveProperty(gone);
      for (const [field, value] of Object.entries(node))
        expect(change.record.node).toHaveProperty(field, value);
      // The newest session speaks for the node from this version on, and its heartbeat begins.
      expect(change).toMatchObject({
        record: {
          ...{ session: 'new', sessionSeq: seq },
          instanceId: by?.instanceId ?? 'restarted',
        },
        ...{ heartbeat: { lastsMs: 60_000 }, deadline: { afterMs: 60_000 } },
        ...{ removed: false, onlyIfSilent: false },
      });
      expect(change.event.evidence).toEqual(change.record.node.evidence);
    },
  );
});

describe('a second register on a live session', () => {
  /** What the agent of `stored` said of its node, said again by its own session. */
  const again = (
    facts: Partial<Registration['facts']> = {},
    more: Partial<Registration> = {},
  ): Registration =>
    registration({
      session: 'own',
      facts: { hostname: 'n.example', labels: {}, roles: [], pools: [], ...facts },
      timing: { intervalMs: 10_000, timeoutMs: 30_000 },
      ...more,
    });
  const known: Partial<FleetNode> = {
    ...{ kind: 'gpu', trust: { by: 'token' }, conditions: [failing], status: 'degraded' },
  };

  interface Row {
    name: string;
    stored: Stored;
    by: Registration;
    change: string;
    node?: Partial<FleetNode>;
  }
  table<Row>(
    [
      {
        name: '[REG-6] that says the same is no change',
        ...{ stored: storedNode(), by: again(), change: 'nothing' },
      },
      {
        name: '[REG-6] that says something new updates the node, and its status stays',
        ...{ stored: storedNode(), by: again({ labels: { zone: 'b' } }) },
        ...{ change: 'updated: online -> online, registered', node: { labels: { zone: 'b' } } },
      },
      {
        name: '[REG-6] takes away what is not said any more, and keeps what is not the agent’s',
        stored: storedNode(known),
        by: again({}, { principal: { by: 'none' }, connection: requests }),
        change: 'updated: degraded -> degraded, registered',
        node: { trust: { by: 'token' }, conditions: [failing], connection: socket, reason: 'registered' },
      },
      {
        name: '[REG-7] that asks for another interval changes the timing',
        stored: storedNode(),
        by: again({}, { timing: { intervalMs: 20_000, timeoutMs: 60_000 } }),
        change: 'updated: online -> online, registered',
        node: { heartbeat: { intervalMs: 20_000, timeoutMs: 60_000 } },
      },
      {
        name: '[REG-5] of an older session is nothing',
        ...{ stored: storedNode({}, { session: 'newer' }), by: again({ kind: 'gpu' }), change: 'nothing' },
      },
      {
        name: '[REM-1] of a removed node is nothing',
        ...{ stored: removedAt(7), by: again(), change: 'nothing' },
      },
      { name: 'of an unknown node is nothing', ...{ stored: nothing, by: again(), change: 'nothing' } },
    ],
    ({ stored, by, change: words, node = {} }) => {
      const change = decideUpdate(stored, by, stamp);
      expect(inWords(change)).toBe(words);
      if (!change || stored.kind !== 'node') return;
      expectNextVersion(change, stored);
      for (const [field, value] of Object.entries(node))
        expect(change.record.node).toHaveProperty(field, value);
      expect(change.record.node).not.toHaveProperty('kind');
      const { createdAt, registeredAt, statusSince, evidence } = stored.record.node;
      expect(change.record.node).toMatchObject({ createdAt, registeredAt, statusSince, evidence });
      expect(change).toMatchObject({
        record: { session: 'own', sessionSeq: 4, instanceId: 'instance' },
        ...{ heartbeat: 'keep', deadline: 'keep', removed: false },
      });
    },
  );
});

describe('a node by whose host name another one registered', () => {
  const detail = 'node m has the same host name in another spelling';
  interface Row {
    name: string;
    stored: Stored;
    change: string;
  }
  table<Row>(
    [
      {
        name: '[NAME-3] says so, and stays what it is',
        stored: storedNode({ reason: 'reconnected' }),
        change: 'updated: online -> online, reconnected',
      },
      {
        name: '[NAME-3] says so while it is offline',
        stored: storedNode({ status: 'offline', reason: 'agent_stopped' }),
        change: 'updated: offline -> offline, agent_stopped',
      },
      {
        name: '[NAME-3] says so instead of what was said before',
        stored: storedNode({ evidence: { lastHeartbeatAt: at(-60), detail: 'node l …' } }),
        change: 'updated: online -> online, registered',
      },
      {
        name: '[NAME-3] says it once',
        stored: storedNode({ evidence: { lastHeartbeatAt: at(-60), detail } }),
        change: 'nothing',
      },
      { name: '[NAME-3] says nothing where it was removed', stored: removedAt(7), change: 'nothing' },
      { name: '[NAME-3] says nothing where it is unknown', stored: nothing, change: 'nothing' },
    ],
    ({ stored, change: words }) => {
      const change: Change | undefined = decideDuplicate(stored, 'm', stamp);
      expect(inWords(change)).toBe(words);
      if (!change) return;
      expectNextVersion(change, stored);
      expect(change.record.node.evidence).toEqual({ lastHeartbeatAt: at(-60), detail });
      expect(change.event.evidence).toEqual(change.record.node.evidence);
      expect(change).toMatchObject({
        record: { session: 'own' },
        heartbeat: 'keep',
        deadline: 'keep',
        removed: false,
      });
    },
  );
});
