import { describe, expect, it, vi } from 'vitest';
import { FleetAgent, type FleetAgentOptions } from '../../agent/index.ts';
import { soon } from '../support/soon.ts';
import { makeAgent, startHub } from './harness.ts';

describe('registration', () => {
  it('says from the second time on that it was registered before', async () => {
    const hub = await startHub();
    const { clock, ends, register } = makeAgent(hub);
    await register();
    expect(hub.last.headers['rollcall-known']).toBeUndefined();
    hub.last.socket.terminate();
    await soon(() => ends.length === 1);
    clock.tick(500);
    await soon(() => hub.sessions.length === 2);
    expect(hub.last.headers['rollcall-known']).toBe('1');
  });

  it('sends register first, with the token, and hands on the reply', async () => {
    const hub = await startHub();
    const { agent, states } = makeAgent(hub, {
      token: 'agent-token-1',
      instanceId: '11111111-2222-4333-8444-555555555555',
      heartbeat: { intervalMs: 60_000 },
      node: { hostname: 'hypervisor-01.local', labels: { zone: 'a' }, cpu: { sockets: 2 } },
    });
    expect(agent.state).toBe('not-started');
    const reply = await agent.start();
    expect(hub.last.path).toBe('/agent');
    expect(hub.last.headers.authorization).toBe('Bearer agent-token-1');
    expect(hub.last.headers['sec-websocket-extensions']).toBeUndefined();
    expect(hub.last.messages).toEqual([
      {
        type: 'register',
        protocol: 1,
        instanceId: '11111111-2222-4333-8444-555555555555',
        heartbeat: { intervalMs: 60_000 },
        features: ['move', 'heartbeat_set'],
        node: {
          hostname: 'hypervisor-01.local',
          labels: { zone: 'a' },
          roles: [],
          pools: [],
          cpu: { sockets: 2 },
        },
      },
    ]);
    expect(reply.nodeId).toBe('28113561-2e72-490d-8bd7-050d2e7c2d18');
    expect(agent.nodeId).toBe(reply.nodeId);
    expect(agent.registered).toEqual(reply);
    expect(states).toEqual(['registering', 'registered']);
  });

  it('[AGT-15] an older agent takes the answer of a newer hub', async () => {
    const node = {
      id: 7,
      status: 'draining',
      reason: 'rebalanced',
      evidence: 'moved',
      connection: { transport: 'quic' },
    };
    const hub = await startHub({
      onRegister: (session, register, scripted) => {
        scripted.reply(session, register, {
          node,
          createdAt: '2027-01-02T09:27:41.446123Z',
          hubTime: 5,
          shard: 3,
        });
        scripted.send(session, { type: 'error', code: 'quota', message: 'a word of tomorrow' });
      },
    });
    const { agent, states } = makeAgent(hub);
    const told = new Promise((resolve) => agent.once('hubError', resolve));
    const reply = await agent.start();
    expect(reply).toMatchObject({ session: 'secret-session-1', reregistered: false, node });
    expect(await told).toMatchObject({ code: 'quota' });
    expect(states).toEqual(['registering', 'registered']);
  });

  it('goes through all states', async () => {
    const hub = await startHub();
    const { agent, states, pass, register, clock } = makeAgent(hub);
    await register();
    await pass(600);
    hub.last.socket.terminate();
    await soon(() => agent.state === 're-registering');
    clock.tick(500);
    await soon(() => agent.state === 'registered');
    await pass(600);
    await agent.stop();
    expect(states).toEqual([
      'registering',
      'registered',
      'heartbeating',
      're-registering',
      'registered',
      'heartbeating',
      'stopped',
    ]);
  });

  it('tries again for ever while nobody listens, first after a jittered second', async () => {
    const hub = await startHub();
    await hub.kill();
    const { agent, clock, ends, states } = makeAgent(hub, { hubUrl: 'http://127.0.0.1:1' });
    const first = agent.start();
    for (let attempt = 1; attempt <= 8; attempt += 1) {
      await soon(() => ends.length === attempt);
      clock.tick(ends[attempt - 1]?.retryInMs ?? 0);
    }
    expect(ends.map(({ retryInMs }) => retryInMs)).toEqual([
      500, 1_000, 2_000, 2_500, 2_500, 2_500, 2_500, 2_500,
    ]);
    expect(ends[0]).toEqual({
      reason: 'nothing listens there (ECONNREFUSED)',
      next: 'reconnect',
      retryInMs: 500,
    });
    expect(states).toEqual(['registering']);
    await agent.stop();
    await expect(first).rejects.toMatchObject({ code: 'stopped' });
  });

  it('finds the hub that answers among several', async () => {
    const hub = await startHub();
    const { agent, clock, ends } = makeAgent(hub, {
      hubUrl: ['http://127.0.0.1:1', hub.url],
      random: () => 0,
    });
    const registered = agent.start();
    await soon(() => ends.length === 1);
    clock.tick(0);
    await registered;
    expect(hub.sessions).toHaveLength(1);
  });

  it('goes to the other hub when its own is killed', async () => {
    const [one, two] = [await startHub(), await startHub()];
    const { agent, clock } = makeAgent(one, { hubUrl: [one.url, two.url], random: () => 0 });
    await agent.start();
    expect([one.sessions.length, two.sessions.length]).toEqual([1, 0]);
    await one.kill();
    await soon(() => agent.state === 're-registering');
    clock.tick(0);
    await soon(() => two.sessions.length === 1 && agent.state === 'registered');
  });

  it('gives up an attempt that hangs, and one whose registration is not answered', async () => {
    const hub = await startHub({ hang: true });
    const { agent, clock, ends } = makeAgent(hub);
    void agent.start();
    await soon(() => hub.attempts === 1);
    clock.tick(9_999);
    expect(ends).toEqual([]);
    clock.tick(1);
    expect(ends[0]).toMatchObject({ next: 'reconnect', reason: expect.stringContaining('in time') });
    hub.script.hang = false;
    hub.script.onRegister = () => {};
    clock.tick(500);
    await soon(() => hub.sessions.length === 1 && hub.last.registers.length === 1);
    clock.tick(10_000);
    expect(ends[1]).toMatchObject({ next: 'reconnect', reason: expect.stringContaining('registration') });
    await soon(() => hub.last.closed !== undefined);
  });

  it('lets no hub that hangs eat the time in which another could keep the node online', async () => {
    const hub = await startHub({ timing: { intervalMs: 10_000, timeoutMs: 30_000 } });
    const { agent, clock, ends } = makeAgent(hub);
    await agent.start();
    hub.script.hang = true;
    hub.last.socket.terminate();
    await soon(() => ends.length === 1);
    clock.tick(500);
    await soon(() => hub.attempts === 2);
    clock.tick(5_000);
    expect(ends).toHaveLength(2);
  });

  it('backs off where the hub rejects its facts, and says which', async () => {
    const hub = await startHub({
      onRegister: (session, _register, hub) =>
        hub.send(session, { type: 'error', code: 'invalid', message: 'too short', path: 'node.hostname' }),
    });
    const { agent, ends, logged } = makeAgent(hub);
    const errors = vi.fn();
    agent.on('hubError', errors);
    void agent.start();
    await soon(() => ends.length === 1);
    expect(ends[0]).toMatchObject({ next: 'back-off', retryInMs: 45_000 });
    expect(errors).toHaveBeenCalledWith(expect.objectContaining({ path: 'node.hostname' }));
    expect(logged('The hub reported an error')[0]?.fields).toMatchObject({ path: 'node.hostname' });
  });

  it('sends changed facts on the live session, and again at the next', async () => {
    const hub = await startHub();
    const { agent, clock, register } = makeAgent(hub);
    await register();
    agent.update({ hostname: 'web-1', labels: { zone: 'b' } });
    await soon(() => hub.last.registers.length === 2);
    hub.last.socket.terminate();
    await soon(() => agent.state === 're-registering');
    clock.tick(500);
    await soon(() => hub.sessions.length === 2 && hub.last.registers.length === 1);
    expect(hub.last.registers[0]?.node.labels).toEqual({ zone: 'b' });
    expect(hub.sessions[0]?.registers[1]?.node.labels).toEqual({ zone: 'b' });
  });

  it.each<[string, Partial<FleetAgentOptions>, RegExp]>([
    ['no hub', { hubUrl: [] }, /hubUrl/],
    ['an address that is none', { hubUrl: 'hub:port' }, /"hub:port" is not a hub/],
    ['a token with a line break', { token: 'a\r\nX: y' }, /token/],
    ['an instance id that is none', { instanceId: '1' }, /instanceId/],
    ['an interval of nothing', { heartbeat: { intervalMs: 0 } }, /intervalMs/],
    ['a hostname that is too long', { node: { hostname: 'x'.repeat(254) } }, /node\.hostname/],
    [
      'too many labels',
      {
        node: {
          hostname: 'a',
          labels: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`l${i}`, ''])),
        },
      },
      /node\.labels/,
    ],
    [
      'facts that are too large',
      { node: { hostname: 'a', metadata: { x: 'x'.repeat(33_000) } } },
      /node: .*larger/,
    ],
    ['a local address that is none', { localAddress: 'here' }, /localAddress/],
  ])('refuses %s', (_name, options, message) => {
    const make = () => new FleetAgent({ hubUrl: 'http://127.0.0.1:1', node: { hostname: 'a' }, ...options });
    expect(make).toThrow(message);
    expect(make).toThrow(expect.objectContaining({ code: 'invalid_options' }));
  });
});

describe('logs', () => {
  it('has the lines of the seeds, with the node and a shortened session, and neither token nor bodies', async () => {
    const hub = await startHub();
    const { agent, clock, log, logged, pass, register } = makeAgent(hub, {
      token: 'hunter2',
      node: { hostname: 'web-1', metadata: { note: 'body-text' } },
      stats: () => ({ at: 'body-text' }),
    });
    await register();
    await pass(600);
    hub.last.socket.terminate();
    await soon(() => agent.state === 're-registering');
    clock.tick(500);
    await soon(() => agent.state === 'registered');
    hub.script.pong = false;
    await pass(2_000);
    expect(log.map(({ level, message }) => `${level} ${message}`)).toEqual(
      expect.arrayContaining([
        'info Registering with the hub',
        'info Successfully registered with the hub (first time)',
        'debug Heartbeat sent',
        'debug Heartbeat acknowledged',
        'debug Stats sent',
        'warn Lost the hub, will re-register',
        'info Re-registered with the hub (reconnected after restart)',
        'warn Heartbeat missed, will retry',
        'warn Too many missed heartbeats (3), attempting re-registration',
      ]),
    );
    expect(logged('Heartbeat sent')[0]?.fields).toMatchObject({
      nodeId: '28113561-2e72-490d-8bd7-050d2e7c2d18',
      session: 'secret-s',
    });
    expect(JSON.stringify(log)).not.toMatch(/hunter2|body-text|secret-session/);
  });
});
