import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../server/runtime/clock.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import { registration, statusChange } from '../support/fixtures.ts';
import { soon } from '../support/soon.ts';
import { registerMessage } from '../support/test-fleet.ts';
import { lose, Opened, type TestDashboard, type TestHub } from './harness.ts';

const opened = new Opened();
afterEach(() => opened.close());

/** The names of what a dashboard heard, each run once: `subscribe answered`, `snapshot`, `changes`. */
function order(dashboard: TestDashboard): string[] {
  const names = dashboard.log.map(({ event }) => event);
  return names.filter((name, index) => name !== names[index - 1]);
}

/** What a dashboard that follows the protocol knows in the end: the picture, then every event by `seq`. */
function known(dashboard: TestDashboard): Map<string, number> {
  const seqs = new Map(Array.from(dashboard.picture.values(), ({ id, seq }) => [id, seq]));
  for (const { nodeId, seq, type, left } of dashboard.events) {
    if (seq <= (seqs.get(nodeId) ?? 0)) continue;
    if (type === 'removed' || left) seqs.delete(nodeId);
    else seqs.set(nodeId, seq);
  }
  return seqs;
}

async function shown(hub: TestHub): Promise<Map<string, number>> {
  return new Map((await hub.fleet.view.find({})).map(({ id, seq }) => [id, seq]));
}

/** Holds back the replay of the next subscription: its first read decides whether to resume, the second is held. */
function slowReplay({ store }: TestHub): { reads: number; release: () => void } {
  const { replay } = store;
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow = { reads: 0, release };
  store.replay = async (...asked) => {
    slow.reads += 1;
    if (slow.reads === 2) await released;
    return replay(...asked);
  };
  return slow;
}

describe('changes', () => {
  test('[CHG-2] every change of a node comes in order, without a hole, with its evidence', async () => {
    const hub = await opened.hub();
    const dashboard = await opened.dashboard(hub);
    await dashboard.follow();
    const agent = await hub.register({ nodeId: 'a' });
    await lose(hub, agent);
    const back = await hub.register({ nodeId: 'a' });
    await hub.fleet.deregister(back.session, 'sold');
    const events = await dashboard.hearsEvents(4);
    expect(events.map(({ seq, type, from, to, reason }) => [seq, type, from, to, reason])).toEqual([
      [1, 'registered', null, 'online', 'registered'],
      [2, 'status', 'online', 'unreachable', 'connection_lost'],
      [3, 'reregistered', 'unreachable', 'online', 'reconnected'],
      [4, 'removed', 'online', null, 'deregistered'],
    ]);
    expect(events[1]?.evidence).toMatchObject({ closeCode: 1006, hubId: 'hub-a' });
    expect(JSON.stringify(dashboard.log)).not.toContain(agent.session.session);
  });

  test('[CHG-5] a node that leaves the filter is told as left, and again when it comes back', async () => {
    const hub = await opened.hub();
    const agent = await hub.register({ nodeId: 'a' });
    await hub.register({ nodeId: 'b' });
    const dashboard = await opened.dashboard(hub);
    await dashboard.follow({ filter: { status: ['online'], ids: ['a'] } });
    await lose(hub, agent);
    await hub.register({ nodeId: 'a' });
    const events = await dashboard.hearsEvents(2);
    expect(events.map(({ seq, to, left }) => [seq, to, left])).toEqual([
      [2, 'unreachable', true],
      [3, 'online', undefined],
    ]);
  });

  test('[CHG-1] changes during a long snapshot come after it, and none is lost', async () => {
    const hub = await opened.hub();
    const metadata = { text: 'x'.repeat(20_000) };
    const agents = await Promise.all(
      Array.from({ length: 150 }, (_, index) => hub.register({ nodeId: `n${index}`, metadata })),
    );
    const dashboard = await opened.dashboard(hub);
    const churn = new Promise<void>((resolve, reject) => {
      dashboard.socket.once('snapshot', () => {
        const changes = agents.map((agent, index) =>
          index % 3 === 0 ? hub.fleet.deregister(agent.session) : lose(hub, agent),
        );
        Promise.all([...changes, hub.register({ nodeId: 'late' })]).then(() => resolve(), reject);
      });
    });
    await dashboard.follow();
    await churn;
    await soon(() => known(dashboard).size === 101 && known(dashboard).get('late') === 1);
    await dashboard.hearsEvents(151);
    expect(order(dashboard)).toEqual(['subscribe answered', 'snapshot', 'changes']);
    expect(known(dashboard)).toEqual(await shown(hub));
  });

  test('[CHG-1] several dashboards that subscribe amid changes all end with the same fleet', async () => {
    const hub = await opened.hub();
    const agents = await Promise.all(
      Array.from({ length: 40 }, (_, index) => hub.register({ nodeId: `n${index}` })),
    );
    const dashboards = await Promise.all(Array.from({ length: 4 }, () => opened.dashboard(hub)));
    for (const [index, agent] of agents.entries()) {
      if (index % 10 === 0) void dashboards[index / 10]?.follow();
      await lose(hub, agent);
      await hub.register({ nodeId: agent.session.nodeId });
    }
    for (const dashboard of dashboards) {
      await soon(() => dashboard.remaining === 0 && [...known(dashboard).values()].every((seq) => seq === 3));
      expect(known(dashboard)).toEqual(await shown(hub));
      expect(order(dashboard)[1]).toBe('snapshot');
    }
  });

  test('[CHG-1] changes during a replay come after it', async () => {
    const hub = await opened.hub();
    const first = await opened.dashboard(hub);
    const { cursor: since } = await first.follow();
    await hub.register({ nodeId: 'missed' });
    const slow = slowReplay(hub);
    const dashboard = await opened.dashboard(hub);
    await dashboard.follow({ since });
    await soon(() => slow.reads === 2);
    const agent = await hub.register({ nodeId: 'later' });
    await lose(hub, agent);
    // What a live dashboard has heard is held for the other.
    await first.hearsEvents(3);
    expect(dashboard.events).toEqual([]);
    slow.release();
    const events = await dashboard.hearsEvents(3);
    expect(events.map(({ nodeId, seq }) => `${nodeId} ${seq}`)).toEqual(['missed 1', 'later 1', 'later 2']);
    expect(dashboard.cursor).toBe(first.cursor);
  });

  test('[CHG-1] more changes during a replay than can be held are read from the log after all', async () => {
    const memory = new MemoryFleet(systemClock, 2);
    const hub = await opened.hub({ memory });
    const first = await opened.dashboard(hub);
    const { cursor: since } = await first.follow();
    await hub.register({ nodeId: 'a' });
    const slow = slowReplay(hub);
    const dashboard = await opened.dashboard(hub);
    expect(await dashboard.follow({ since })).toMatchObject({ resumed: true });
    await soon(() => slow.reads === 2);
    const store = new MemoryStore(memory);
    await Promise.all([0, 1].map((shard) => store.attach(shard)));
    for (let index = 0; index < 250; index += 1) {
      let change = registration({ id: `n${index}` });
      await store.commit(change);
      for (let seq = 2; seq <= 10; seq += 1) {
        change = statusChange(change.record, { status: 'online', reason: 'reconnected' });
        await store.commit(change);
      }
    }
    // What a live dashboard has heard, the other's group has held or given up holding.
    await first.hearsEvents(2_501);
    expect(dashboard.events).toEqual([]);
    slow.release();
    await soon(() => hub.gateway.countByState().live === 2);
    expect(slow.reads).toBeGreaterThan(3);
    await dashboard.hearsEvents(2_501);
    expect(new Set(dashboard.events.map(({ nodeId, seq }) => `${nodeId} ${seq}`)).size).toBe(2_501);
    expect(known(dashboard)).toEqual(await shown(hub));
    await hub.register({ nodeId: 'a' });
    expect((await dashboard.hearsEvents(2_502)).at(-1)).toMatchObject({ nodeId: 'a', seq: 2 });
  });

  test('[CHG-9] all agents lost in one turn are changes of each, whatever the log keeps otherwise', async () => {
    const hub = await opened.hub({ memory: new MemoryFleet(systemClock, 1, 10) });
    const agents = await Promise.all(
      Array.from({ length: 300 }, (_, index) => hub.register({ nodeId: `n${index}` })),
    );
    const dashboard = await opened.dashboard(hub);
    await dashboard.follow();
    await Promise.all(agents.map((agent) => lose(hub, agent)));
    const events = await dashboard.hearsEvents(300);
    expect(events.every(({ to }) => to === 'unreachable')).toBe(true);
    expect(dashboard.heard('resync')).toEqual([]);
  });

  test('[CHG-8] a store that lost data: the dashboard is told to resync, and may subscribe afresh', async () => {
    const memory = new MemoryFleet(systemClock, 1);
    const hub = await opened.hub({ memory });
    await hub.register({ nodeId: 'a' });
    const dashboard = await opened.dashboard(hub);
    await dashboard.follow();
    const before = hub.fleet.view.get('a')?.node;
    memory.empty(0);
    expect(await dashboard.hears('resync')).toEqual({ reason: expect.stringContaining('lost data') });
    expect(hub.gateway.countByState()).toEqual({ ended: 1 });
    await hub.register({ nodeId: 'b' });
    expect(dashboard.events).toEqual([]);
    const again = await opened.dashboard(hub);
    await again.follow();
    expect(again.picture.get('a')).toMatchObject({
      id: 'a',
      createdAt: before?.createdAt,
      seq: before?.seq,
      status: 'online',
    });
  });

  test('[CHG-8] a store that goes away while missed changes are replayed: resync, and a fresh start works', async () => {
    const hub = await opened.hub();
    const first = await opened.dashboard(hub);
    await first.follow();
    await hub.register({ nodeId: 'a' });
    await first.hearsEvents(1);
    const since = first.cursor;
    first.close();
    await hub.fleet.registrar.register(registerMessage({ nodeId: 'b' }), {
      remoteAddress: '192.0.2.1',
      end: () => {},
      understands: () => false,
      send: () => true,
    });
    const dashboard = await opened.dashboard(hub);
    const { replay } = hub.store;
    let reads = 0;
    hub.store.replay = (...asked) => {
      reads += 1;
      // The first read decides whether to resume; the second is the replay itself.
      if (reads === 2) hub.store.fault = 'away';
      return replay(...asked);
    };
    expect(await dashboard.subscribe({ since })).toMatchObject({ resumed: true });
    await dashboard.hears('resync');
    hub.store.fault = 'none';
    await dashboard.follow({});
    expect([...dashboard.picture.keys()].sort()).toEqual(['a', 'b']);
  });
});
