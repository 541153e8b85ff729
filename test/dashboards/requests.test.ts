import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import {
  historyAnswerSchema,
  LIMITS,
  type LiveStats,
  liveStatsSchema,
  nodeAnswerSchema,
} from '../../shared/index.ts';
import { soon } from '../support/soon.ts';
import { sendStats } from '../support/test-fleet.ts';
import { lose, Opened, type TestDashboard, type TestHub } from './harness.ts';

const opened = new Opened();
afterEach(() => opened.close());

const statsSchema = z.object({ stats: z.record(z.string(), liveStatsSchema) });

/** Everything that came by `stats`, oldest first. */
function figures(dashboard: TestDashboard): Array<[string, LiveStats]> {
  return dashboard.heard('stats').flatMap((payload) => Object.entries(statsSchema.parse(payload).stats));
}

async function report(hub: TestHub, nodeId: string, cpuPercent: number): Promise<void> {
  const session = hub.fleet.sessions.get(nodeId);
  if (!session) throw new Error(`${nodeId} has no session`);
  sendStats(hub.fleet, session, { cpuPercent });
  await hub.fleet.flush();
}

describe('watch', () => {
  test('[WATCH-1] brings the figures of the watched nodes, then only what changed', async () => {
    const hub = await opened.hub();
    for (const nodeId of ['a', 'b', 'constructor']) await hub.register({ nodeId });
    await report(hub, 'a', 10);
    const dashboard = await opened.dashboard(hub);
    dashboard.socket.emit('watch', { ids: ['a', 'constructor', 'nobody', 'a'] });
    await dashboard.hears('stats');
    const first = new Map(figures(dashboard));
    expect([...first.keys()].sort()).toEqual(['a', 'constructor']);
    expect(first.get('a')).toMatchObject({ cpuPercent: 10, lastHeartbeatAt: expect.any(String) });
    await report(hub, 'a', 20);
    await report(hub, 'b', 30);
    await dashboard.hears('stats', 2);
    expect(figures(dashboard).slice(2)).toEqual([['a', expect.objectContaining({ cpuPercent: 20 })]]);
  });

  test('[WATCH-3] a wrong watch is refused in its ack, and the one before goes on', async () => {
    const hub = await opened.hub();
    await hub.register({ nodeId: 'a' });
    const dashboard = await opened.dashboard(hub);
    dashboard.socket.emit('watch', { ids: ['a'] });
    await dashboard.hears('stats');
    const tooMany = Array.from({ length: LIMITS.watchedIds + 1 }, (_, index) => `n${index}`);
    for (const payload of ['a', null, { ids: 'a' }, { ids: ['__proto__'] }, { ids: tooMany }]) {
      expect(await dashboard.ask('watch', payload)).toMatchObject({ ok: false, code: 'invalid' });
      dashboard.socket.emit('watch', payload);
    }
    await report(hub, 'a', 5);
    await dashboard.hears('stats', 2);
  });
});

describe('node', () => {
  test('[NODE-1] answers with the whole node and its figures', async () => {
    const hub = await opened.hub();
    await hub.register({ nodeId: 'a', metadata: { rack: 7 } });
    await report(hub, 'a', 42);
    const dashboard = await opened.dashboard(hub);
    const answer = nodeAnswerSchema.parse(await dashboard.ask('node', { id: 'a' }));
    expect(answer.node).toEqual(hub.fleet.view.get('a')?.node);
    expect(answer.stats).toMatchObject({ cpuPercent: 42 });
  });

  test('[NODE-2] a node that is not there', async () => {
    const dashboard = await opened.dashboard(await opened.hub());
    for (const id of ['nobody', 'constructor']) {
      expect(await dashboard.ask('node', { id })).toMatchObject({ ok: false, code: 'not_found' });
    }
  });

  test('[NODE-3] without the store it says so', async () => {
    const hub = await opened.hub();
    await hub.register({ nodeId: 'a' });
    hub.store.fault = 'away';
    const dashboard = await opened.dashboard(hub);
    for (const id of ['a', 'nobody']) {
      expect(await dashboard.ask('node', { id })).toMatchObject({ ok: false, code: 'store_away' });
    }
  });

  test('[NODE-4] a wrong request is answered as invalid, and one without an ack is passed over', async () => {
    const dashboard = await opened.dashboard(await opened.hub());
    for (const payload of [undefined, null, 'a', {}, { id: '../etc' }, { id: 'x'.repeat(300) }]) {
      dashboard.socket.emit('node', payload);
      expect(await dashboard.ask('node', payload)).toMatchObject({ ok: false, code: 'invalid' });
    }
  });
});

describe('history', () => {
  test('[HIST-1] the newest events first', async () => {
    const hub = await opened.hub();
    for (const nodeId of ['a', 'b', 'c']) {
      const agent = await hub.register({ nodeId });
      // Another instant, so that the order of the shards is known; a hub knows the store's time to a millisecond.
      const registeredAt = Date.now();
      await soon(() => Date.now() > registeredAt + 2);
      await lose(hub, agent);
      const lostAt = Date.now();
      await soon(() => Date.now() > lostAt + 2);
    }
    const dashboard = await opened.dashboard(hub);
    const { events } = historyAnswerSchema.parse(await dashboard.ask('history', { limit: 4 }));
    expect(events.map(({ nodeId, seq }) => `${nodeId}${seq}`)).toEqual(['c2', 'c1', 'b2', 'b1']);
  });

  test('[HIST-2] of one node', async () => {
    const hub = await opened.hub();
    await hub.register({ nodeId: 'b' });
    await lose(hub, await hub.register({ nodeId: 'a' }));
    const dashboard = await opened.dashboard(hub);
    const { events } = historyAnswerSchema.parse(await dashboard.ask('history', { nodeId: 'a' }));
    expect(events.map(({ nodeId, seq }) => `${nodeId}${seq}`)).toEqual(['a2', 'a1']);
  });

  test('[HIST-3] an answer is cut where it would be larger than about 1 MiB', async () => {
    const hub = await opened.hub();
    const metadata = { text: 'x'.repeat(30_000) };
    for (let index = 0; index < 50; index += 1) await hub.register({ nodeId: 'a', metadata });
    const dashboard = await opened.dashboard(hub);
    const { events } = historyAnswerSchema.parse(await dashboard.ask('history', { limit: 100 }));
    expect(events.length).toBeGreaterThan(20);
    expect(events.length).toBeLessThan(40);
    expect(events[0]?.seq).toBe(50);
  });

  test('[RES-6] requests are answered one after the other, and no more than 16 wait', async () => {
    const hub = await opened.hub();
    await hub.register({ nodeId: 'a' });
    let asked = 0;
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { history } = hub.store;
    hub.store.history = async (...request) => {
      asked += 1;
      await held;
      return history(...request);
    };
    const dashboard = await opened.dashboard(hub);
    const answers = Array.from({ length: 18 }, () => dashboard.ask('history', {}));
    expect(await Promise.all(answers.slice(16))).toEqual(
      Array.from({ length: 2 }, () => expect.objectContaining({ ok: false, code: 'too_many' })),
    );
    expect(asked).toBe(1);
    release();
    for (const answer of answers.slice(0, 16)) expect(await answer).toMatchObject({ ok: true });
    expect(asked).toBe(16);
  });

  test('[HIST-4] a wrong request is answered as invalid; without the store it says so', async () => {
    const hub = await opened.hub();
    const dashboard = await opened.dashboard(hub);
    for (const payload of [null, { limit: 0 }, { limit: 1_001 }, { limit: '5' }, { nodeId: '' }]) {
      expect(await dashboard.ask('history', payload)).toMatchObject({ ok: false, code: 'invalid' });
    }
    hub.store.fault = 'away';
    expect(await dashboard.ask('history', {})).toMatchObject({ ok: false, code: 'store_away' });
  });
});
