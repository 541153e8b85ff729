import { describe, expect, it, vi } from 'vitest';
import { busyReason, SUPERSEDED_BY_ITSELF } from '../../shared/index.ts';
import { soon } from '../support/soon.ts';
import { makeAgent, startHub } from './harness.ts';

describe('close codes of the hub', () => {
  it.each<[number, string, string, number | null]>([
    [1012, 'the hub restarts', 'reconnect-spread', 2_500],
    [1013, busyReason(2_000), 'wait', 2_500],
    [1013, 'busy', 'wait', 500],
    [4400, 'the protocol was broken', 'back-off', 45_000],
    [4401, 'the token is missing or wrong', 'back-off', 45_000],
    [4403, 'not allowed', 'back-off', 45_000],
    [4404, 'this node was removed', 'stop', null],
    [4408, 'did not register in time', 'reconnect', 500],
    [4409, 'a newer session took over', 'back-off', 45_000],
    [1000, '', 'reconnect', 500],
    [1011, 'boom', 'reconnect', 500],
  ])('%i (%s): %s', async (code, reason, next, retryInMs) => {
    const hub = await startHub({ timing: { intervalMs: 10_000, timeoutMs: 30_000 } });
    const { agent, clock, ends, register, pass } = makeAgent(hub);
    await register();
    await pass(10_000);
    hub.last.socket.close(code, reason);
    await soon(() => ends.length === 1);
    expect(ends[0]).toEqual({
      code,
      reason: reason === '' ? `closed with ${code}` : `closed with ${code}: ${reason}`,
      next,
      retryInMs,
    });
    if (retryInMs === null) return;
    expect(agent.state).toBe('re-registering');
    clock.tick(retryInMs - 1);
    expect(hub.attempts).toBe(1);
    clock.tick(1);
    await soon(() => agent.state === 'registered');
    expect(hub.sessions).toHaveLength(2);
  });

  it('stops when its node was removed', async () => {
    const hub = await startHub();
    const { agent, clock, register, states } = makeAgent(hub);
    const removed = vi.fn();
    agent.on('removed', removed);
    await register();
    hub.last.socket.close(4404, 'this node was removed');
    await soon(() => agent.state === 'stopped');
    expect(removed).toHaveBeenCalledTimes(1);
    expect(clock.timers()).toBe(0);
    clock.tick(600_000);
    expect(hub.attempts).toBe(1);
    expect(states).toEqual(['registering', 'registered', 'stopped']);
    await agent.stop();
  });

  it('rejects start() where the node is removed before it was registered', async () => {
    const hub = await startHub({ onRegister: ({ socket }) => socket.close(4404) });
    const { agent } = makeAgent(hub);
    await expect(agent.start()).rejects.toMatchObject({ code: 'removed' });
    expect(agent.state).toBe('stopped');
  });

  it('tells of a newer session, and asks whether the machine is a clone', async () => {
    const hub = await startHub();
    const { agent, ends, logged, register, pass } = makeAgent(hub);
    const superseded = vi.fn();
    agent.on('superseded', superseded);
    await register();
    await pass(10_000);
    hub.last.socket.close(4409);
    await soon(() => ends.length === 1);
    expect(superseded).toHaveBeenCalledTimes(1);
    expect(logged(/clone/)[0]?.level).toBe('warn');
  });

  it('[BACK-4] returns soon where it was superseded before it heard of its registration, but not for ever', async () => {
    const hub = await startHub({ onRegister: ({ socket }) => socket.close(4409) });
    const { agent, clock, ends } = makeAgent(hub);
    agent.start().catch(() => {});
    for (let attempt = 1; attempt <= 4; attempt += 1) {
      await soon(() => ends.length === attempt);
      clock.tick(ends.at(-1)?.retryInMs ?? 0);
    }
    expect(ends.slice(0, 4).map(({ next }) => next)).toEqual([
      'reconnect',
      'reconnect',
      'reconnect',
      'back-off',
    ]);
    expect(ends[3]?.retryInMs).toBe(45_000);
  });

  it('[BACK-4] returns soon where it was superseded when it had just been registered, but not for ever', async () => {
    const hub = await startHub({ timing: { intervalMs: 10_000, timeoutMs: 30_000 } });
    const { clock, ends, register, pass } = makeAgent(hub);
    await register();
    await pass(9_000);
    for (let attempt = 1; attempt <= 4; attempt += 1) {
      await soon(() => hub.sessions.length === attempt && hub.last.registers.length === 1);
      hub.last.socket.close(4409);
      await soon(() => ends.length === attempt);
      clock.tick(ends.at(-1)?.retryInMs ?? 0);
    }
    expect(ends.map(({ next }) => next)).toEqual(['reconnect', 'reconnect', 'reconnect', 'back-off']);
  });

  it('[BACK-4] returns soon where a registration of its own came later', async () => {
    const hub = await startHub();
    const { agent, clock, ends, register, pass } = makeAgent(hub);
    await register();
    await pass(10_000);
    hub.last.socket.close(4409, SUPERSEDED_BY_ITSELF.reason);
    await soon(() => ends.length === 1);
    expect(ends[0]).toMatchObject({ next: 'reconnect', retryInMs: 250 });
    clock.tick(250);
    await soon(() => agent.state === 'registered');
  });

  it('[BACK-6] is not sent away for long after a registration that was not answered', async () => {
    const hub = await startHub({ timing: { intervalMs: 60_000, timeoutMs: 180_000 } });
    const { clock, ends, register } = makeAgent(hub);
    const endAfter = async (end: () => void): Promise<number> => {
      const before = ends.length;
      end();
      await soon(() => ends.length > before);
      return ends.at(-1)?.retryInMs ?? Number.NaN;
    };
    const sentAway = { status: 503, headers: { 'Retry-After': '60' } };
    await register();
    const first = await endAfter(() => hub.last.socket.terminate());
    hub.script.refuse = sentAway;
    expect(await endAfter(() => clock.tick(first))).toBe(25_000);
    // One that is taken, as far as the agent can tell, and never answered.
    hub.script.refuse = undefined;
    hub.script.onRegister = ({ socket }) => socket.terminate();
    const second = await endAfter(() => clock.tick(25_000));
    hub.script.refuse = sentAway;
    expect(await endAfter(() => clock.tick(second))).toBeCloseTo(4_167, 0);
    // A minute after it, it is forgotten.
    let waitsMs = 0;
    for (let passedMs = 0; passedMs < 60_000; passedMs += waitsMs) {
      waitsMs = ends.at(-1)?.retryInMs ?? Number.NaN;
      await endAfter(() => clock.tick(waitsMs));
    }
    expect(ends.at(-1)?.retryInMs).toBe(25_000);
  });

  it('notices a cut without a close frame', async () => {
    const hub = await startHub();
    const { ends, register } = makeAgent(hub);
    await register();
    hub.last.socket.terminate();
    await soon(() => ends.length === 1);
    expect(ends[0]).toMatchObject({ code: 1006, next: 'reconnect' });
  });

  it('cuts a hub that sends more than 256 KiB, and returns', async () => {
    const hub = await startHub();
    const { agent, clock, ends, register } = makeAgent(hub);
    await register();
    hub.send(hub.last, `"${'x'.repeat(300_000)}"`);
    await soon(() => ends.length === 1);
    expect(ends[0]).toMatchObject({ next: 'reconnect', reason: 'Max payload size exceeded' });
    clock.tick(500);
    await soon(() => agent.state === 'registered');
  });
});

describe('HTTP answers to the upgrade', () => {
  it.each<[number, Record<string, string>, string, number]>([
    [401, {}, 'back-off', 45_000],
    [403, { 'Retry-After': '1' }, 'back-off', 45_000],
    [404, {}, 'reconnect', 500],
    [429, { 'Retry-After': '4' }, 'wait', 5_000],
    [503, { 'Retry-After': '4' }, 'wait', 5_000],
    [503, {}, 'reconnect', 500],
  ])('%i %j: %s', async (status, headers, next, retryInMs) => {
    const hub = await startHub({ refuse: { status, headers } });
    const { agent, clock, ends, logged } = makeAgent(hub);
    const registered = agent.start();
    await soon(() => ends.length === 1);
    expect(ends[0]).toEqual({ status, reason: `the hub answered HTTP ${status}`, next, retryInMs });
    expect(logged(/refuses this agent/).map(({ level }) => level)).toEqual(
      next === 'back-off' ? ['error'] : [],
    );
    hub.script.refuse = undefined;
    clock.tick(retryInMs);
    await registered;
  });
});

describe('a hub that takes nobody now', () => {
  it('is asked again after the time in its answer, which is finer than the header', async () => {
    const body = JSON.stringify({ error: 'Service Unavailable', retryAfterMs: 1_200 });
    const hub = await startHub({ refuse: { status: 503, headers: { 'Retry-After': '2' }, body } });
    const { agent, ends } = makeAgent(hub);
    agent.start().catch(() => {});
    await soon(() => ends.length === 1);
    expect(ends[0]).toMatchObject({ next: 'wait', retryInMs: 1_500 });
    await agent.stop();
  });

  it('does not cost a node its status: the wait ends within a sixth of its timeout', async () => {
    const hub = await startHub({ timing: { intervalMs: 10_000, timeoutMs: 30_000 } });
    const { agent, ends, register } = makeAgent(hub);
    await register();
    hub.script.refuse = { status: 503, headers: { 'Retry-After': '600' } };
    hub.last.socket.close(1013, busyReason(600_000));
    await soon(() => ends.length === 1);
    expect(ends[0]?.next).toBe('wait');
    expect(ends[0]?.retryInMs).toBeLessThanOrEqual(5_000);
    await agent.stop();
  });
});

describe('bad messages of the hub', () => {
  it.each<[string, string]>([
    ['no JSON', '{"type":'],
    ['no object', '42'],
    ['null', 'null'],
    ['no type', '{}'],
    ['a wrong timing', '{"type":"heartbeat","intervalMs":-1,"timeoutMs":"never"}'],
    ['a reply without a node', '{"type":"registered","nodeId":"evil"}'],
    ['an unknown error code', '{"type":"error","code":"whatever","message":"x"}'],
  ])('%s: logged, and the session goes on', async (_name, text) => {
    const hub = await startHub();
    const { agent, ends, log, pass, register } = makeAgent(hub);
    await register();
    const { length } = log;
    hub.send(hub.last, text);
    await soon(() => log.length > length);
    expect(log.at(-1)).toMatchObject({
      level: 'warn',
      message: expect.stringMatching(/^The hub (sent|reported)/),
    });
    await pass(1_000);
    expect(agent.state).toBe('heartbeating');
    expect(agent.nodeId).not.toBe('evil');
    expect(ends).toEqual([]);
  });

  it('passes over types that it does not know, and over binary frames', async () => {
    const hub = await startHub();
    const { agent, log, logged, pass, register } = makeAgent(hub);
    await register();
    hub.last.socket.send(Buffer.from('{"type":"heartbeat","intervalMs":1,"timeoutMs":3}'));
    hub.send(hub.last, { type: 'command', run: 'rm -rf /' });
    await soon(() => logged(/does not know/).length === 1);
    await pass(1_000);
    expect(agent.state).toBe('heartbeating');
    expect(hub.last.pings).toBe(1);
    expect(log.filter(({ level }) => level === 'warn')).toEqual([]);
    expect(JSON.stringify(log)).not.toContain('rm -rf');
  });
});

describe('stop', () => {
  it('closes with 1000, its own Close frame first, and leaves no timer and no socket', async () => {
    const hub = await startHub();
    const { agent, clock, pass, register } = makeAgent(hub, { stats: () => new Promise(() => {}) });
    await register();
    await pass(600);
    const [once, twice] = [agent.stop(), agent.stop()];
    await Promise.all([once, twice]);
    await soon(() => hub.last.closed !== undefined && hub.openSockets === 0);
    expect(hub.last.closed).toEqual({ code: 1000, reason: 'agent stopped', agentFirst: true });
    expect(agent.state).toBe('stopped');
    expect(clock.timers()).toBe(0);
    expect(agent.reportStats({ cpuPercent: 1 })).toBe(false);
    expect(hub.sessions).toHaveLength(1);
  });

  it('cuts a hub that does not answer the goodbye', async () => {
    const hub = await startHub();
    const { agent, clock, register } = makeAgent(hub, { stopTimeoutMs: 3_000 });
    await register();
    hub.last.socket.pause();
    let stopped = false;
    const stopping = agent.stop().then(() => {
      stopped = true;
    });
    await new Promise<void>((resolve) => setImmediate(resolve));
    // The watch for sleep, and the deadline.
    expect(clock.timers()).toBe(2);
    clock.tick(2_999);
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(stopped).toBe(false);
    clock.tick(1);
    await stopping;
    expect(clock.timers()).toBe(0);
  });

  it('ends an attempt that hangs, a wait, and an agent that never began', async () => {
    const hub = await startHub({ hang: true });
    const attempt = makeAgent(hub);
    const started = attempt.agent.start();
    await soon(() => hub.attempts === 1);
    await attempt.agent.stop();
    await expect(started).rejects.toMatchObject({ code: 'stopped' });
    await soon(() => hub.openSockets === 0);

    const waiting = makeAgent(hub, { hubUrl: 'http://127.0.0.1:1' });
    void waiting.agent.start();
    await soon(() => waiting.ends.length === 1);
    await waiting.agent.stop();

    const idle = makeAgent(hub);
    await idle.agent.stop();
    await expect(idle.agent.start()).rejects.toMatchObject({ code: 'stopped' });
    for (const { agent, clock } of [attempt, waiting, idle]) {
      expect(agent.state).toBe('stopped');
      expect(clock.timers()).toBe(0);
    }
    expect(hub.attempts).toBe(1);
  });

  it('can be called from a listener of any event', async () => {
    const hub = await startHub();
    const { agent, clock, register } = makeAgent(hub);
    agent.on('closed', () => void agent.stop());
    await register();
    hub.last.socket.terminate();
    await soon(() => agent.state === 'stopped');
    expect(clock.timers()).toBe(0);
    expect(hub.attempts).toBe(1);
  });
});

describe('deregister', () => {
  it('resolves when the hub closes with 1000, and ends the agent', async () => {
    const hub = await startHub();
    const { agent, clock, register, ends } = makeAgent(hub);
    await register();
    await agent.deregister('moved away');
    expect(hub.last.messages.at(-1)).toEqual({ type: 'deregister', reason: 'moved away' });
    expect(agent.state).toBe('stopped');
    expect(ends).toEqual([]);
    expect(clock.timers()).toBe(0);
    await soon(() => hub.last.closed !== undefined);
    expect(hub.last.closed?.agentFirst).toBe(false);
  });

  it('asks again while the store is away', async () => {
    let asked = 0;
    const hub = await startHub({
      onDeregister: ({ socket }) => {
        asked += 1;
        if (asked === 3) socket.close(1000);
        else socket.send('{"type":"error","code":"store_away","message":"try again"}');
      },
    });
    const { agent, clock, register, logged } = makeAgent(hub);
    await register();
    const gone = agent.deregister();
    for (const errors of [1, 2]) {
      await soon(() => logged('The hub reported an error').length === errors);
      clock.tick(1_000);
    }
    await gone;
    expect(asked).toBe(3);
    expect(clock.timers()).toBe(0);
  });

  it('keeps beating meanwhile, but sends no more stats', async () => {
    const hub = await startHub({ onDeregister: () => {} });
    const { agent, pass, register } = makeAgent(hub, { stats: () => ({ cpuPercent: 1 }) });
    await register();
    void agent.deregister().catch(() => {});
    await soon(() => hub.last.messages.length === 2);
    await pass(2_600);
    expect(agent.reportStats({ cpuPercent: 2 })).toBe(false);
    expect(hub.last.pings).toBe(3);
    expect(hub.last.messages.map(({ type }) => type)).toEqual(['register', 'deregister']);
  });

  it('fails after its deadline, and ends the agent all the same', async () => {
    const hub = await startHub({ onDeregister: () => {} });
    const { agent, clock, register } = makeAgent(hub, { deregisterTimeoutMs: 400 });
    await register();
    const failed = expect(agent.deregister()).rejects.toMatchObject({ code: 'deregister_failed' });
    await soon(() => hub.last.messages.length === 2);
    clock.tick(400);
    await failed;
    expect(agent.state).toBe('stopped');
    await soon(() => hub.last.closed !== undefined);
    expect(hub.last.closed).toMatchObject({ code: 1000, agentFirst: true });
    expect(clock.timers()).toBe(0);
  });

  it.each<[number, boolean]>([
    [4404, true],
    [1012, false],
    [4409, false],
  ])('a close with %i meanwhile: confirmed is %s', async (code, confirmed) => {
    const hub = await startHub({ onDeregister: ({ socket }) => socket.close(code) });
    const { agent, clock, register } = makeAgent(hub);
    await register();
    const outcome = await agent.deregister().then(
      () => 'confirmed',
      (error: { code: string }) => error.code,
    );
    expect(outcome).toBe(confirmed ? 'confirmed' : 'deregister_failed');
    expect(agent.state).toBe('stopped');
    expect(clock.timers()).toBe(0);
  });

  it('fails at once without a session', async () => {
    const hub = await startHub({ hang: true });
    const { agent } = makeAgent(hub);
    void agent.start();
    await expect(agent.deregister()).rejects.toMatchObject({ code: 'not_registered' });
    expect(agent.state).toBe('stopped');
  });
});
