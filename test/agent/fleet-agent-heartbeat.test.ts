import { describe, expect, it, vi } from 'vitest';
import type { NodeStats } from '../../shared/index.ts';
import { soon } from '../support/soon.ts';
import { makeAgent, startHub } from './harness.ts';

const statsOf = (messages: ReadonlyArray<{ type: string; [field: string]: unknown }>): unknown[] =>
  messages.filter(({ type }) => type === 'stats').map(({ stats }) => stats);

describe('heartbeat', () => {
  it('pings and sends stats once per interval, first at a random moment of it', async () => {
    const hub = await startHub();
    let reading = 0;
    const { agent, pass, register } = makeAgent(hub, { stats: () => ({ cpuPercent: ++reading }) });
    const beats = vi.fn();
    agent.on('heartbeat', beats);
    await register();
    await pass(475);
    expect(hub.last.pings).toBe(0);
    await pass(25);
    expect(hub.last.pings).toBe(1);
    await pass(3_000);
    expect(hub.last.pings).toBe(4);
    await soon(() => hub.last.messages.length === 5);
    expect(statsOf(hub.last.messages)).toEqual([1, 2, 3, 4].map((cpuPercent) => ({ cpuPercent })));
    expect(beats).toHaveBeenCalledTimes(4);
  });

  it('probes a hub that does not answer, and at the third miss registers again before it leaves it', async () => {
    const hub = await startHub({ pong: false });
    const { agent, clock, ends, logged, pass, register } = makeAgent(hub);
    const missed = vi.fn();
    agent.on('missed', missed);
    await register();
    await pass(500);
    expect(hub.last.pings).toBe(1);
    await pass(500);
    expect(hub.last.pings).toBe(2);
    await pass(250);
    expect(hub.last.pings).toBe(3);
    expect(agent.state).toBe('registered');
    await pass(250);
    expect(agent.state).toBe('re-registering');
    expect(missed.mock.calls).toEqual([[1], [2], [3]]);
    expect(logged(/Too many missed heartbeats/)).toHaveLength(1);
    expect(ends).toEqual([]);
    expect(hub.last.closed).toBeUndefined();
    clock.tick(250);
    await soon(() => hub.sessions.length === 2);
    hub.script.pong = true;
    await soon(() => agent.state === 'registered');
    await soon(() => hub.sessions[0]?.closed !== undefined);
    expect(hub.sessions[0]?.closed?.code).toBe(1006);
    expect(hub.sessions).toHaveLength(2);
    await pass(1_000);
    expect(agent.state).toBe('heartbeating');
  });

  it('forgives two misses', async () => {
    const hub = await startHub({ pong: false });
    const { agent, pass, register } = makeAgent(hub);
    await register();
    await pass(1_200);
    hub.script.pong = true;
    await pass(2_800);
    expect(agent.state).toBe('heartbeating');
    expect(hub.sessions).toHaveLength(1);
  });

  it('keeps beating while the stats provider throws, hangs or gives rubbish', async () => {
    const hub = await startHub();
    const answers: Array<() => NodeStats | Promise<NodeStats>> = [
      () => {
        throw new Error('no /proc');
      },
      () => Promise.reject(new Error('no disk')),
      () => ({ at: 'x'.repeat(10_000) }),
      () => ({ cpuPercent: 4 }),
      () => new Promise(() => {}),
    ];
    const { agent, pass, register } = makeAgent(hub, { stats: () => answers.shift()?.() });
    await register();
    await pass(8_600);
    expect(hub.last.pings).toBe(9);
    expect(agent.state).toBe('heartbeating');
    expect(statsOf(hub.last.messages)).toEqual([{ cpuPercent: 4 }]);
    expect(answers).toHaveLength(0);
  });

  it('[FACT-3] registers another address when the network changes, and at each registration', async () => {
    const hub = await startHub();
    let address = '10.0.0.5';
    const asked: unknown[] = [];
    const addressOf = (local: string | undefined) => {
      asked.push(local);
      return address;
    };
    const { pass, register } = makeAgent(hub, { addressOf });
    await register();
    const said = () => JSON.stringify(hub.last.messages).match(/10\.0\.0\.\d/g);
    expect(said()).toEqual(['10.0.0.5']);
    expect(asked).toEqual([expect.stringMatching(/127\.0\.0\.1$/)]);
    address = '10.0.0.6';
    await pass(20_000);
    expect(said()).toEqual(['10.0.0.5']);
    await pass(12_000);
    expect(said()).toEqual(['10.0.0.5', '10.0.0.6']);
    await pass(40_000);
    expect(said()).toHaveLength(2);
  });

  it('follows the hub when it changes the timing', async () => {
    const hub = await startHub({ timing: { intervalMs: 60_000, timeoutMs: 180_000 } });
    const { agent, pass, register } = makeAgent(hub);
    const timings: unknown[] = [];
    agent.on('timing', (timing) => timings.push(timing));
    await register();
    hub.send(hub.last, { type: 'heartbeat', intervalMs: 1_000, timeoutMs: 3_000 });
    await soon(() => timings.length === 2);
    await pass(2_500);
    expect(hub.last.pings).toBe(3);
    expect(timings).toEqual([
      { intervalMs: 60_000, timeoutMs: 180_000 },
      { intervalMs: 1_000, timeoutMs: 3_000 },
    ]);
  });

  it('follows it to a longer interval too, from the ping on that was planned', async () => {
    const hub = await startHub();
    const { agent, logged, pass, register } = makeAgent(hub);
    const timings: unknown[] = [];
    agent.on('timing', (timing) => timings.push(timing));
    await register();
    await pass(600);
    expect(hub.last.pings).toBe(1);
    hub.send(hub.last, { type: 'heartbeat', intervalMs: 4_000, timeoutMs: 12_000 });
    await soon(() => timings.length === 2);
    await pass(950);
    expect(hub.last.pings).toBe(1);
    await pass(3_000);
    expect(hub.last.pings).toBe(2);
    await pass(8_000);
    expect(hub.last.pings).toBe(4);
    expect(agent.state).toBe('heartbeating');
    expect(logged('The hub changed the heartbeat timing')).toMatchObject([
      { fields: { intervalMs: 4_000, timeoutMs: 12_000 } },
    ]);
  });

  it('[PACE-10] answers each heartbeat message with heartbeat_set, and sends none otherwise', async () => {
    const hub = await startHub();
    const { pass, register } = makeAgent(hub);
    await register();
    await pass(5_000);
    const said = () => hub.last.messages.filter(({ type }) => type === 'heartbeat_set');
    expect(said()).toEqual([]);
    for (const intervalMs of [4_000, 4_000, 2_000])
      hub.send(hub.last, { type: 'heartbeat', intervalMs, timeoutMs: 3 * intervalMs });
    await soon(() => said().length === 3);
    expect(said().map(({ intervalMs }) => intervalMs)).toEqual([4_000, 4_000, 2_000]);
  });

  it('[PACE-10] an older hub that does not know heartbeat_set is sent one, and loses nothing', async () => {
    const hub = await startHub();
    const { agent, logged, pass, register } = makeAgent(hub);
    const errors: unknown[] = [];
    agent.on('hubError', (error) => errors.push(error));
    await register();
    const said = () => hub.last.messages.filter(({ type }) => type === 'heartbeat_set').length;
    hub.send(hub.last, { type: 'heartbeat', intervalMs: 4_000, timeoutMs: 12_000 });
    await soon(() => said() === 1);
    hub.send(hub.last, { type: 'error', code: 'unknown_type', message: 'unknown', path: 'type' });
    const timings: unknown[] = [];
    agent.on('timing', (timing) => timings.push(timing));
    hub.send(hub.last, { type: 'heartbeat', intervalMs: 2_000, timeoutMs: 6_000 });
    await soon(() => timings.length === 1);
    await pass(2_000);
    expect(said()).toBe(1);
    expect([errors, logged('The hub reported an error')]).toEqual([[], []]);
    expect(['registered', 'heartbeating']).toContain(agent.state);
  });

  it('gives a hub up by the timing that it was told last', async () => {
    const hub = await startHub();
    const { agent, pass, register } = makeAgent(hub, { random: () => 0.999 });
    const timings: unknown[] = [];
    agent.on('timing', (timing) => timings.push(timing));
    await register();
    hub.send(hub.last, { type: 'heartbeat', intervalMs: 8_000, timeoutMs: 24_000 });
    await soon(() => timings.length === 2);
    await pass(1_000);
    hub.script.pong = false;
    await pass(8_000);
    // The ping at 9 s goes unanswered: at 13, 15 and 17 s that is three misses.
    await pass(7_000);
    expect(agent.state).toBe('heartbeating');
    await pass(1_500);
    expect(agent.state).toBe('re-registering');
  });

  it('sends stats between the intervals, and the latest of those that found no session after the next', async () => {
    const hub = await startHub();
    const { agent, register } = makeAgent(hub);
    expect(agent.reportStats({ cpuPercent: 1 })).toBe(false);
    expect(agent.reportStats({ cpuPercent: 2 })).toBe(false);
    await register();
    expect(agent.reportStats({ cpuPercent: 3 })).toBe(true);
    await soon(() => hub.last.messages.length === 3);
    expect(statsOf(hub.last.messages)).toEqual([{ cpuPercent: 2 }, { cpuPercent: 3 }]);
  });

  it('reconnects at once after this machine slept', async () => {
    const hub = await startHub({ timing: { intervalMs: 60_000, timeoutMs: 180_000 } });
    const { agent, clock, ends, register } = makeAgent(hub);
    await register();
    clock.suspend(3_600_000);
    clock.tick(1_000);
    expect(ends).toEqual([{ reason: 'this machine slept', next: 'reconnect-now', retryInMs: 0 }]);
    clock.tick(1);
    await soon(() => hub.sessions.length === 2 && agent.state === 'registered');
    await soon(() => hub.sessions[0]?.closed !== undefined);
    expect(hub.sessions[0]?.closed?.code).toBe(1006);
  });

  it.each([60_000, 7_200_000, -60_000, -7_200_000])(
    '[CLK-1] cuts nothing where its clock is set by %i ms, and asks at once whether the hub is there',
    async (stepMs) => {
      const hub = await startHub({ timing: { intervalMs: 60_000, timeoutMs: 180_000 } });
      const { agent, clock, ends, register } = makeAgent(hub);
      await register();
      clock.tick(40_000);
      await soon(() => agent.state === 'heartbeating');
      const { pings } = hub.last;
      clock.tick(31_000);
      clock.step(stepMs);
      clock.tick(1_000);
      clock.tick(1);
      if (stepMs > 0) await soon(() => hub.last.pings === pings + 1);
      clock.tick(20_000);
      expect(ends).toEqual([]);
      expect(hub.sessions).toHaveLength(1);
    },
  );

  it('cuts its own backoff short after sleep, but not a wait that it was told', async () => {
    const hub = await startHub({ refuse: { status: 503 } });
    const { agent, clock, ends } = makeAgent(hub);
    void agent.start();
    await soon(() => ends.length === 1);
    expect(ends[0]?.retryInMs).toBe(500);
    hub.script.refuse = { status: 503, headers: { 'Retry-After': '120' } };
    clock.tick(500);
    await soon(() => ends.length === 2);
    expect(ends[1]).toMatchObject({ next: 'wait', retryInMs: 150_000 });
    clock.suspend(60_000);
    clock.tick(1_000);
    expect(hub.attempts).toBe(2);
    hub.script.refuse = { status: 503 };
    clock.tick(149_000);
    await soon(() => ends.length === 3);
    expect(ends[2]).toMatchObject({ next: 'reconnect', retryInMs: 1_000 });
    clock.tick(1_000);
    await soon(() => ends.length === 4);
    expect(ends[3]?.retryInMs).toBe(2_000);
    clock.suspend(60_000);
    clock.tick(1_000);
    await soon(() => hub.attempts === 5);
  });

  it('starts its backoff again only after a session of a minute', async () => {
    const hub = await startHub({ timing: { intervalMs: 60_000, timeoutMs: 600_000 } });
    const { agent, clock, ends, register } = makeAgent(hub);
    /** A session of so many milliseconds; returns the delay that follows it. */
    const session = async (lastsMs: number): Promise<number | null | undefined> => {
      const { length } = hub.sessions;
      clock.tick(Math.min(lastsMs, 40_000));
      if (lastsMs > 40_000) await soon(() => agent.state === 'heartbeating');
      clock.tick(Math.max(0, lastsMs - 40_000));
      hub.last.socket.terminate();
      await soon(() => agent.state === 're-registering');
      const delayMs = ends.at(-1)?.retryInMs;
      clock.tick(delayMs ?? 0);
      await soon(() => hub.sessions.length === length + 1 && agent.state === 'registered');
      return delayMs;
    };
    await register();
    const delays = [];
    for (const lastsMs of [0, 0, 59_000, 0, 60_000, 0]) delays.push(await session(lastsMs));
    expect(delays).toEqual([500, 1_000, 2_000, 4_000, 500, 1_000]);
  });

  it('keeps its delays within a sixth of its timeout, however long the hubs are away', async () => {
    const hub = await startHub({ timing: { intervalMs: 10_000, timeoutMs: 30_000 } });
    const { agent, clock, ends, register } = makeAgent(hub, { random: () => 0.999 });
    await register();
    hub.script.refuse = { status: 500 };
    hub.last.socket.terminate();
    let passedMs = 0;
    for (let attempt = 1; passedMs < 120_000; attempt += 1) {
      await soon(() => ends.length === attempt);
      const delayMs = ends[attempt - 1]?.retryInMs ?? Number.NaN;
      expect(delayMs).toBeLessThan(5_000);
      clock.tick(delayMs);
      passedMs += delayMs;
    }
    await soon(() => agent.state === 're-registering');
  });
});
