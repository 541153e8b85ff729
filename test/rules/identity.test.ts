import { v5 as uuidV5 } from 'uuid';
import { describe, expect, test } from 'vitest';
import { NoView } from '../../server/picture/no-view.ts';
import { identify, namesSameNode } from '../../server/rules/identity.ts';
import type { Stored } from '../../server/store/fleet-store.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { registerMessage, testFleet } from '../support/test-fleet.ts';

const idOf = (name: string): string => uuidV5(name, uuidV5.DNS);
const node = (id: string): Stored => ({ kind: 'gone', tombstone: { id, version: 3 } });

describe('which node a registration is for', () => {
  const reading = (...standing: string[]) => {
    const asked: string[] = [];
    const read = async (id: string): Promise<Stored> => {
      asked.push(id);
      return standing.includes(id) ? node(id) : { kind: 'nothing' };
    };
    return { asked, read };
  };

  test.each([
    [{ nodeId: 'WEB-1', hostname: 'WEB-1' }, [], 'WEB-1', 0],
    [{ hostname: 'web-1' }, [], idOf('web-1'), 0],
    [{ hostname: 'WEB-1' }, [], idOf('web-1'), 1],
    [{ hostname: 'WEB-1.' }, [idOf('WEB-1')], idOf('web-1'), 1],
    [{ hostname: 'WEB-1' }, [idOf('WEB-1')], idOf('WEB-1'), 2],
    [{ hostname: 'bu\u0308cher' }, [], idOf('xn--bcher-kva'), 1],
  ])('[NAME-1] [NAME-2] %j', async (facts, standing, id, reads) => {
    const { asked, read } = reading(...standing);
    expect(await identify(facts, read)).toEqual({ id });
    expect(asked).toHaveLength(reads);
  });

  test.each([
    [{ hostname: 'WEB-1' }, { id: idOf('web-1'), hostname: 'web-1' }, true],
    [{ hostname: 'web-1' }, { id: idOf('WEB-1'), hostname: 'WEB-1' }, true],
    [{ hostname: 'WEB-1' }, { id: idOf('WEB-1'), hostname: 'WEB-1' }, true],
    [{ hostname: 'web-2' }, { id: idOf('WEB-1'), hostname: 'WEB-1' }, false],
    [{ hostname: 'web-1', nodeId: 'a' }, { id: idOf('web-1'), hostname: 'web-1' }, false],
    [{ hostname: 'web-2', nodeId: 'a' }, { id: 'a', hostname: 'web-1' }, true],
  ])('[NAME-1] %j on the session of %j: %j', (facts, session, same) => {
    expect(namesSameNode(facts, session)).toBe(same);
  });
});

describe.each(['with', 'without'])('a hub %s a view', (view) => {
  const started = async () => {
    const clock = new FakeClock();
    const memory = new MemoryFleet(clock);
    const store = new MemoryStore(memory);
    const more = view === 'with' ? {} : { view: new NoView(clock, store.shards) };
    const fleet = testFleet(store, clock, 'hub-a', undefined, more);
    await fleet.start();
    const register = async (hostname: string, nodeId?: string) => {
      const message = registerMessage({ hostname, ...(nodeId !== undefined && { nodeId }) });
      const answer = fleet.httpAgents.register(message, { remoteAddress: '10.0.0.1' });
      await clock.advance(1_500);
      const registered = await answer;
      if (typeof registered === 'string' || 'kind' in registered) throw new Error('not registered');
      return registered;
    };
    return { fleet, register };
  };

  test('[NAME-1] one machine in two spellings is one node', async () => {
    const { fleet, register } = await started();
    const first = await register('WEB-1');
    const again = await register('web-1.');
    expect([again.nodeId, again.reregistered, again.createdAt]).toEqual([
      first.nodeId,
      true,
      first.createdAt,
    ]);
    expect(again.node.hostname).toBe('web-1.');
    await fleet.stop();
  });

  test('[NAME-2] a node that stands by the id of its very spelling keeps it', async () => {
    const { fleet, register } = await started();
    // As an earlier hub named it.
    const old = await register('WEB-1', idOf('WEB-1'));
    expect((await register('WEB-1')).nodeId).toBe(old.nodeId);
    expect(await fleet.httpAgents.deregister(old.nodeId)).toBe('removed');
    expect((await register('WEB-1')).nodeId).toBe(old.nodeId);
    await fleet.stop();
  });

  test('[NAME-3] where both stand, it is the one of the very spelling, and both say so', async () => {
    const { fleet, register } = await started();
    const old = await register('WEB-1', idOf('WEB-1'));
    const other = await register('web-1');
    expect(other.nodeId).not.toBe(old.nodeId);
    const back = await register('WEB-1');
    expect(back.nodeId).toBe(old.nodeId);
    expect(back.node.evidence.detail).toContain(other.nodeId);
    const flagged = await fleet.node(other.nodeId);
    expect(flagged).toMatchObject({
      status: 'online',
      evidence: { detail: expect.stringContaining(old.nodeId) },
    });
    const { seq } = await register('WEB-1')
      .then(() => fleet.node(other.nodeId))
      .then((now) => now ?? { seq: 0 });
    expect(seq).toBe(flagged?.seq);
    await fleet.stop();
  });
});
