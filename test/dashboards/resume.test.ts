import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../server/runtime/clock.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import { LIMITS } from '../../shared/index.ts';
import { registration, statusChange } from '../support/fixtures.ts';
import { soon } from '../support/soon.ts';
import { lose, Opened, type TestHub } from './harness.ts';

const opened = new Opened();
afterEach(() => opened.close());

/** A dashboard that followed the fleet up to some point and went: its last cursor. */
async function cursorOf(hub: TestHub, request: Record<string, unknown> = {}): Promise<string> {
  const dashboard = await opened.dashboard(hub);
  const { cursor } = await dashboard.follow(request);
  dashboard.close();
  return cursor;
}

describe('resume', () => {
  test('[SUB-8] with a cursor only what was missed comes', async () => {
    const hub = await opened.hub();
    const agent = await hub.register({ nodeId: 'a' });
    await hub.register({ nodeId: 'b' });
    const since = await cursorOf(hub);
    await lose(hub, agent);
    await hub.register({ nodeId: 'c' });
    const dashboard = await opened.dashboard(hub);
    expect(await dashboard.follow({ since })).toMatchObject({ resumed: true, total: 3 });
    const missed = await dashboard.hearsEvents(2);
    expect(missed.map(({ nodeId, seq }) => [nodeId, seq]).sort()).toEqual([
      ['a', 2],
      ['c', 1],
    ]);
    expect(dashboard.pages).toEqual([]);
    await hub.register({ nodeId: 'a' });
    expect((await dashboard.hearsEvents(3))[2]).toMatchObject({ nodeId: 'a', seq: 3 });
  });

  test('[SUB-8] every cursor of every batch resumes without a hole', async () => {
    const hub = await opened.hub();
    const watcher = await opened.dashboard(hub);
    await watcher.follow();
    for (let index = 0; index < 12; index += 1) {
      await lose(hub, await hub.register({ nodeId: `n${index % 5}` }));
    }
    const all = await watcher.hearsEvents(24);
    for (const [index, { cursor }] of watcher.batches.entries()) {
      const seen = new Set(
        watcher.batches
          .slice(0, index + 1)
          .flatMap(({ events }) => events.map(({ nodeId, seq }) => `${nodeId} ${seq}`)),
      );
      const missing = all.filter(({ nodeId, seq }) => !seen.has(`${nodeId} ${seq}`));
      const dashboard = await opened.dashboard(hub);
      expect(await dashboard.follow({ since: cursor })).toMatchObject({ resumed: true });
      await dashboard.hearsEvents(missing.length);
      for (const { nodeId, seq } of dashboard.events) seen.add(`${nodeId} ${seq}`);
      expect(seen.size).toBe(all.length);
      dashboard.close();
    }
  });

  test('[SUB-8] a cursor at the present resumes without any event', async () => {
    const hub = await opened.hub();
    await hub.register({ nodeId: 'a' });
    const since = await cursorOf(hub);
    const dashboard = await opened.dashboard(hub);
    expect(await dashboard.follow({ since })).toMatchObject({ resumed: true, cursor: since });
    await soon(() => hub.gateway.countByState().live === 1);
    expect(dashboard.log.map(({ event }) => event)).toEqual(['subscribe answered']);
  });

  test('[CHG-7] in a replay what does not match the filter comes as left', async () => {
    const hub = await opened.hub();
    const agent = await hub.register({ nodeId: 'a' });
    const request = { filter: { status: ['online'] }, fields: 'summary' };
    const since = await cursorOf(hub, request);
    await lose(hub, agent);
    const dashboard = await opened.dashboard(hub);
    expect(await dashboard.follow({ ...request, since })).toMatchObject({ resumed: true, total: 0 });
    const [left] = await dashboard.hearsEvents(1);
    expect(left).toMatchObject({ nodeId: 'a', to: 'unreachable', left: true });
    expect(left?.node).not.toHaveProperty('evidence');
  });

  test('[SUB-11] a cursor of one hub resumes on another of the same store', async () => {
    const memory = new MemoryFleet(systemClock, 4);
    const first = await opened.hub({ memory, hubId: 'hub-a' });
    const second = await opened.hub({ memory, hubId: 'hub-b' });
    await first.register({ nodeId: 'a' });
    const since = await cursorOf(first);
    await second.register({ nodeId: 'b' });
    const dashboard = await opened.dashboard(second);
    expect(await dashboard.follow({ since })).toMatchObject({ resumed: true });
    expect((await dashboard.hearsEvents(1)).map(({ nodeId }) => nodeId)).toEqual(['b']);
  });

  test('[SUB-11] a hub that is behind the cursor waits for its own view', async () => {
    const memory = new MemoryFleet(systemClock, 1);
    const ahead = await opened.hub({ memory, hubId: 'hub-a' });
    const behind = await opened.hub({ memory, hubId: 'hub-b' });
    behind.store.fault = 'away';
    await ahead.register({ nodeId: 'a' });
    const since = await cursorOf(ahead);
    const dashboard = await opened.dashboard(behind);
    const answer = dashboard.follow({ since });
    await soon(() => behind.gateway.countByState().deciding === 1);
    behind.store.fault = 'none';
    expect(await answer).toMatchObject({ resumed: true, total: 1 });
  });

  test('[SUB-11] one whose view does not get there within a second sends a snapshot', async () => {
    const memory = new MemoryFleet(systemClock, 1);
    const ahead = await opened.hub({ memory, hubId: 'hub-a' });
    const behind = await opened.hub({ memory, hubId: 'hub-b' });
    behind.store.fault = 'away';
    await ahead.register({ nodeId: 'a' });
    const since = await cursorOf(ahead);
    const dashboard = await opened.dashboard(behind);
    expect(await dashboard.follow({ since })).toMatchObject({ resumed: false, hub: { state: 'stale' } });
  });

  test('[SUB-10] more events behind than are worth replaying: a snapshot', async () => {
    const memory = new MemoryFleet(systemClock, 4);
    const hub = await opened.hub({ memory });
    const since = await cursorOf(hub);
    const store = new MemoryStore(memory);
    await Promise.all([0, 1, 2, 3].map((shard) => store.attach(shard)));
    // Spread over the shards, so that no log is trimmed.
    const perNode = 10;
    const nodes = Math.ceil((LIMITS.resumeEvents + 1) / perNode);
    for (let index = 0; index < nodes; index += 1) {
      let change = registration({ id: `n${index}` });
      await store.commit(change);
      for (let seq = 2; seq <= perNode; seq += 1) {
        const status = seq % 2 === 0 ? 'unreachable' : 'online';
        change = statusChange(change.record, { status, reason: 'connection_lost' });
        await store.commit(change);
      }
    }
    await soon(
      async () => (await hub.fleet.view.find({})).filter(({ seq }) => seq === perNode).length === nodes,
    );
    const dashboard = await opened.dashboard(hub);
    expect(await dashboard.follow({ since })).toMatchObject({ resumed: false, total: nodes });
    expect(dashboard.picture.size).toBe(nodes);
  });

  test('[SUB-10] a log that does not reach back: a snapshot', async () => {
    // Far fewer than are worth replaying, so that only the trimmed log is in the way.
    const [logEntries, versions] = [50, 500];
    const memory = new MemoryFleet(systemClock, 1, logEntries);
    const hub = await opened.hub({ memory });
    const since = await cursorOf(hub);
    const store = new MemoryStore(memory);
    await store.attach(0);
    let change = registration({ id: 'a' });
    await store.commit(change);
    for (let seq = 2; seq <= versions; seq += 1) {
      change = statusChange(change.record, { status: 'online', reason: 'reconnected' });
      await store.commit(change);
    }
    await soon(() => hub.fleet.view.get('a')?.node.seq === versions);
    const dashboard = await opened.dashboard(hub);
    expect(await dashboard.follow({ since })).toMatchObject({ resumed: false, total: 1 });
  });

  test('[SUB-9] a cursor of another filter, other fields or another fleet, and rubbish: a snapshot', async () => {
    const hub = await opened.hub();
    await hub.register({ nodeId: 'a' });
    const stranger = await opened.hub();
    await stranger.register({ nodeId: 'z' });
    const cursors = [
      await cursorOf(hub, { filter: { kind: ['gpu'] } }),
      await cursorOf(hub, { fields: 'summary' }),
      await cursorOf(stranger),
      '',
      'rubbish',
      '\ud800',
      'A'.repeat(4_000),
    ];
    for (const since of cursors) {
      const dashboard = await opened.dashboard(hub);
      expect(await dashboard.follow({ since })).toMatchObject({ resumed: false, total: 1 });
      expect([...dashboard.picture.keys()]).toEqual(['a']);
      dashboard.close();
    }
  });

  test('[SUB-9] after a loss of data the old cursors are void', async () => {
    const memory = new MemoryFleet(systemClock, 2);
    const hub = await opened.hub({ memory });
    await hub.register({ nodeId: 'a' });
    const since = await cursorOf(hub);
    const epochs = hub.fleet.view.positions().map(({ epoch }) => epoch);
    memory.empty(0);
    memory.empty(1);
    await soon(() => hub.fleet.view.positions().every(({ epoch }, shard) => epoch !== epochs[shard]));
    const dashboard = await opened.dashboard(hub);
    expect(await dashboard.follow({ since })).toMatchObject({ resumed: false, total: 1 });
  });
});
