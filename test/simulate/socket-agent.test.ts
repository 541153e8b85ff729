import { describe, expect, it } from 'vitest';
import { busyReason, CLOSE } from '../../shared/index.ts';
import { oneAgent } from './fake-links.ts';

const closed = (code: number, reason = '') => ({ kind: 'closed', code, reason }) as const;

describe('a simulated agent', () => {
  it('[SIM-1] registers with its rack and zone, beats first at a random moment, then every interval', () => {
    const { agent, clock, last, accept } = oneAgent({ index: 5 });
    agent.start();
    accept();
    const { node } = last().register;
    expect(node).toMatchObject({ nodeId: 'sim-6', hostname: 'sim-6' });
    expect(node.labels).toEqual({ zone: 'b', rack: 'rack-2', simulation: 'sim' });
    clock.tick(490);
    expect(last().pings).toBe(0);
    clock.tick(20);
    expect(last().pings).toBe(1);
    for (let beat = 2; beat < 6; beat += 1) {
      last().listener.pong();
      clock.tick(1_000);
      expect(last().pings).toBe(beat);
    }
    expect(last().texts).toHaveLength(1);
  });

  it('[SIM-1] sends its stats behind the ping, as often as it was told', () => {
    const { agent, clock, last, accept, world, context } = oneAgent({ statsShare: 0.6 });
    agent.start();
    accept();
    clock.tick(510);
    expect(last().written.map(({ opcode }) => opcode)).toEqual([1, 9, 1]);
    last().listener.pong();
    world.random = 0.7;
    clock.tick(1_000);
    expect(last().written.map(({ opcode }) => opcode)).toEqual([1, 9, 1, 9]);
    expect(context.tally).toMatchObject({ pings: 2, stats: 1, pongs: 1 });
  });

  it('[SIM-1] obeys a heartbeat message', () => {
    const { agent, clock, last, accept } = oneAgent();
    agent.start();
    accept({ intervalMs: 60_000, timeoutMs: 180_000 });
    last().say({ type: 'heartbeat', intervalMs: 200, timeoutMs: 600 });
    clock.tick(110);
    expect(last().pings).toBe(1);
    expect(agent.timing).toEqual({ intervalMs: 200, timeoutMs: 600 });
  });

  it('[SIM-2] probes a silent hub, cuts it at the third miss, and comes back', () => {
    const { agent, clock, links, last, accept, context } = oneAgent();
    agent.start();
    accept();
    clock.tick(510 + 500 + 10);
    expect(links[0]?.pings).toBe(2);
    clock.tick(520);
    expect(links[0]).toMatchObject({ wasReset: true });
    expect(context.tally).toMatchObject({ missed: 3, registered: 0 });
    expect(context.tally.drops.toJSON()).toEqual({ 'pongs missing': 1 });
    clock.tick(510);
    accept();
    expect(last().options.known).toBe(true);
    expect(context.tally).toMatchObject({ registered: 1, registrations: 2, reconnects: 1 });
  });

  it.each([
    [closed(1006), 500],
    [closed(CLOSE.restarting.code), 2_500],
    [closed(CLOSE.busy.code, busyReason(4_000)), 5_000],
    [closed(CLOSE.superseded.code), 45_000],
  ])('[SIM-2] returns after %j in its time', (how, afterMs) => {
    const { agent, clock, links, accept } = oneAgent();
    agent.start();
    accept({ intervalMs: 20_000, timeoutMs: 60_000 });
    links[0]?.end(how);
    clock.tick(afterMs - 20);
    expect(links).toHaveLength(1);
    clock.tick(40);
    expect(links).toHaveLength(2);
  });

  it('[SIM-2] stops for good where its node was removed', () => {
    const { agent, clock, links, accept } = oneAgent();
    agent.start();
    accept();
    links[0]?.end(closed(CLOSE.removed.code));
    clock.tick(600_000);
    expect(links).toHaveLength(1);
    expect(agent.phase).toBe('removed');
  });

  it.each([
    [{ kind: 'refused', status: 503, retryAfterMs: 2_000 } as const, 2_500, { 'HTTP 503': 1 }],
    [{ kind: 'refused', status: 401 } as const, 45_000, { 'HTTP 401': 1 }],
    [{ kind: 'failed', message: 'ECONNREFUSED' } as const, 500, {}],
  ])('[SIM-2] waits after an attempt that ended with %j', (how, afterMs, refusals) => {
    const { agent, clock, links, context } = oneAgent();
    agent.start();
    links[0]?.end(how);
    clock.tick(afterMs - 20);
    expect(links).toHaveLength(1);
    clock.tick(40);
    expect(links).toHaveLength(2);
    expect(links[1]?.options.known).toBe(false);
    expect(context.tally.refusals.toJSON()).toEqual(refusals);
  });

  it('waits for no answer longer than the agent program does', () => {
    const { agent, clock, links, context } = oneAgent();
    agent.start();
    clock.tick(10_010);
    expect(links[0]?.wasReset).toBe(true);
    clock.tick(510);
    links[1]?.listener.opened();
    clock.tick(10_010);
    expect(links[1]?.wasReset).toBe(true);
    expect(context.tally.failures.toJSON()).toEqual({
      'no answer in time': 1,
      'no answer to the registration': 1,
    });
  });

  it('is cut with a RST, kept away, and measured from when it is free', () => {
    const { agent, clock, links, accept, context } = oneAgent();
    agent.start();
    accept();
    const now = clock.nowMs();
    const disruption = context.disruptions.begin('a cut', now + 5_000);
    agent.cut(5_000, disruption);
    expect(links[0]).toMatchObject({ wasReset: true, goodbyeCode: undefined });
    expect([agent.phase, agent.cutAtMs]).toEqual(['held', now]);
    clock.tick(4_980);
    expect(links).toHaveLength(1);
    clock.tick(30);
    clock.tick(90);
    accept();
    expect(links[1]?.register.instanceId).toBe(links[0]?.register.instanceId);
    expect(disruption).toMatchObject({ hit: 1, over: true });
    expect(disruption.allMs).toBeGreaterThanOrEqual(90);
    expect(disruption.allMs).toBeLessThan(120);
    expect(context.tally.drops.total).toBe(0);
  });

  it('restarts with a goodbye, as a new instance that no hub knows', () => {
    const { agent, clock, links, accept, context } = oneAgent();
    agent.start();
    accept();
    agent.restart(2_000, undefined);
    expect(links[0]).toMatchObject({ wasReset: false, goodbyeCode: 1001 });
    links[0]?.end(closed(1001));
    clock.tick(2_010);
    accept();
    expect(links).toHaveLength(2);
    expect(links[1]?.options.known).toBe(false);
    expect(links[1]?.register.instanceId).not.toBe(links[0]?.register.instanceId);
    links[0]?.end(closed(1006));
    expect([agent.phase, context.tally.registered, context.tally.drops.total]).toEqual(['live', 1, 0]);
  });

  it.each(['goodbye', 'deregister'] as const)('[SIM-7] leaves with a %s and does not return', (how) => {
    const { agent, clock, links, accept } = oneAgent();
    agent.start();
    accept();
    agent.leave(how);
    expect(agent.leftBehind).toBe(true);
    expect(links[0]?.goodbyeCode).toBe(how === 'goodbye' ? 1000 : undefined);
    expect(links[0]?.texts.map(({ type }) => type)).toEqual(
      how === 'goodbye' ? ['register'] : ['register', 'deregister'],
    );
    links[0]?.end(closed(1000));
    expect([agent.phase, agent.leftBehind]).toEqual(['gone', false]);
    clock.tick(600_000);
    expect(links).toHaveLength(1);
  });

  it('passes over messages that it does not know', () => {
    const { agent, last, accept } = oneAgent();
    agent.start();
    accept();
    for (const text of ['no JSON', '[]', '{"type":"new"}', '{"type":"heartbeat"}'])
      last().listener.text(text);
    expect(agent.phase).toBe('live');
  });
});
