import { describe, expect, it } from 'vitest';
import { CLOSE } from '../../shared/index.ts';
import { soon } from '../support/soon.ts';
import { makeAgent, startHub } from './harness.ts';

const timing = { intervalMs: 10_000, timeoutMs: 30_000 };

describe('a hub that asks its agents to move', () => {
  it('[MOVE-3] the agent registers elsewhere, and leaves the old session only then', async () => {
    const [first, second] = await Promise.all([startHub({ timing }), startHub({ timing, hang: true })]);
    const { agent, clock, ends, states, register } = makeAgent(first, {
      hubUrl: [first.url, second.url],
      random: () => 0,
    });
    await register();
    expect(first.last.messages[0]).toMatchObject({ features: ['move', 'heartbeat_set'] });
    first.send(first.last, { type: 'move', withinMs: 2_500 });
    await soon(() => clock.timers() > 2);
    clock.tick(0);
    await soon(() => second.attempts === 1);
    expect(first.last.closed).toBeUndefined();
    second.script.hang = false;
    clock.tick(5_000);
    clock.tick(0);
    first.script.refuse = { status: 503 };
    await soon(() => {
      clock.tick(50);
      return second.sessions.length === 1;
    });
    await soon(() => first.last.closed !== undefined);
    expect(ends).toEqual([]);
    expect(agent.state).toMatch(/registered|heartbeating/);
    expect(states).not.toContain('re-registering');
  });

  it('[MOVE-3] where no other hub takes it, it stays, and goes on trying until it is told to stay', async () => {
    const hub = await startHub({ timing });
    const { agent, clock, ends, logged, register } = makeAgent(hub);
    await register();
    hub.script.refuse = { status: 503, headers: { 'Retry-After': '600' } };
    hub.send(hub.last, { type: 'move', withinMs: 100 });
    await soon(() => logged(/Looking for another hub/).length === 1);
    for (let attempts = 2; attempts < 6; attempts += 1) {
      await soon(() => {
        clock.tick(500);
        return hub.attempts === attempts;
      });
    }
    hub.send(hub.last, { type: 'stay' });
    await soon(() => logged(/The hub is well again/).length === 1);
    const { attempts } = hub;
    clock.tick(9_000);
    await soon(() => agent.state === 'heartbeating');
    expect(hub.attempts).toBe(attempts);
    expect(hub.sessions).toHaveLength(1);
    expect(ends).toEqual([]);
  });

  it('[MOVE-3] where the old session ends meanwhile, the attempt that is under way goes on', async () => {
    const hub = await startHub({ timing });
    const { agent, clock, ends, logged, register } = makeAgent(hub);
    await register();
    hub.script.onRegister = () => {};
    hub.send(hub.last, { type: 'move', withinMs: 0 });
    await soon(() => logged(/Looking for another hub/).length === 1);
    clock.tick(0);
    await soon(() => hub.sessions.length === 2 && hub.last.registers.length === 1);
    hub.sessions[0]?.socket.close(4409);
    await soon(() => agent.state === 're-registering');
    const [again] = hub.last.registers;
    if (again) hub.reply(hub.last, again);
    await soon(() => agent.state === 'registered');
    expect(ends).toEqual([]);
  });

  it('[MOVE-4] a hub that was asked before it may stay is heard, and takes it then', async () => {
    const hub = await startHub({ timing });
    const { agent, clock, ends, logged, register } = makeAgent(hub);
    await register();
    const [first] = hub.sessions;
    hub.script.onRegister = () => {};
    hub.send(hub.last, { type: 'move', withinMs: 0 });
    await soon(() => logged(/Looking for another hub/).length === 1);
    clock.tick(0);
    await soon(() => hub.sessions.length === 2 && hub.last.registers.length === 1);
    if (first) hub.send(first, { type: 'stay' });
    await soon(() => logged(/The hub is well again/).length === 1);
    const [asked] = hub.last.registers;
    if (asked) hub.reply(hub.last, asked);
    await soon(() => first?.closed !== undefined);
    expect(hub.last.closed).toBeUndefined();
    expect(ends).toEqual([]);
    expect(agent.state).toMatch(/registered|heartbeating/);
  });

  it('[MOVE-4] where that hub does not take it, nothing more is tried, and a later move tries again', async () => {
    const hub = await startHub({ timing });
    const { clock, ends, logged, register } = makeAgent(hub);
    await register();
    const [first] = hub.sessions;
    const move = async (sessions: number): Promise<void> => {
      if (first) hub.send(first, { type: 'move', withinMs: 0 });
      await soon(() => logged(/Looking for another hub/).length === sessions - 1);
      clock.tick(0);
      await soon(() => hub.sessions.length === sessions && hub.last.registers.length === 1);
    };
    hub.script.onRegister = () => {};
    await move(2);
    if (first) hub.send(first, { type: 'stay' });
    await soon(() => logged(/The hub is well again/).length === 1);
    const timers = clock.timers();
    hub.last.socket.close(1013);
    await soon(() => clock.timers() < timers);
    clock.tick(9_000);
    expect(hub.attempts).toBe(2);
    await move(3);
    expect(first?.closed).toBeUndefined();
    expect(ends).toEqual([]);
  });

  it('[MOVE-5] one that lost its session while an attempt of its own has no answer returns soon', async () => {
    const hub = await startHub({ timing });
    const { clock, ends, logged, pass, register } = makeAgent(hub);
    await register();
    await pass(10_000);
    const [first] = hub.sessions;
    hub.script.onRegister = () => {};
    hub.send(hub.last, { type: 'move', withinMs: 0 });
    await soon(() => logged(/Looking for another hub/).length === 1);
    clock.tick(0);
    await soon(() => hub.sessions.length === 2 && hub.last.registers.length === 1);
    const timers = clock.timers();
    hub.last.socket.close(1013);
    await soon(() => clock.timers() !== timers || hub.last.closed !== undefined);
    await soon(() => {
      first?.socket.close(4409, CLOSE.superseded.reason);
      return ends.length === 1;
    });
    expect(ends).toMatchObject([{ code: 4409, next: 'reconnect' }]);
    expect(ends[0]?.retryInMs).toBeLessThanOrEqual(5_000);
  });

  it('[MOVE-3] a removal and a stop end the search too', async () => {
    for (const end of ['removed', 'stopped'] as const) {
      const hub = await startHub({ timing });
      const { agent, clock, logged, register } = makeAgent(hub);
      await register();
      hub.send(hub.last, { type: 'move', withinMs: 1_000 });
      await soon(() => logged(/Looking for another hub/).length === 1);
      if (end === 'removed') hub.last.socket.close(4404);
      else await agent.stop();
      await soon(() => agent.state === 'stopped');
      expect(clock.timers()).toBe(0);
    }
  });
});

describe('a hub that is only slow', () => {
  it('[LINK-2] is kept where it answers before another took the node', async () => {
    const hub = await startHub({ pong: false });
    const { agent, ends, pass, register } = makeAgent(hub);
    await register();
    hub.script.refuse = { status: 503 };
    await pass(1_600);
    expect(agent.state).toBe('re-registering');
    await pass(5_000);
    await soon(() => hub.last.pings > 5);
    hub.script.pong = true;
    hub.last.socket.pong();
    await soon(() => agent.state === 'heartbeating');
    expect(hub.sessions).toHaveLength(1);
    expect(ends).toEqual([]);
  });
});
