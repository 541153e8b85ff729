import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { HUB_BOUNDS } from '../../agent/session/hub-bounds.ts';
import { hubMessageSchema } from '../../agent/session/hub-messages.ts';
import { limitedLog } from '../../agent/session/limited-log.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { soon } from '../support/soon.ts';
import { makeAgent, startHub } from './harness.ts';

describe('what an agent takes from its hub', () => {
  it.each<[string, (socket: import('ws').WebSocket) => void]>([
    ['pongs', (socket) => socket.pong()],
    ['pings', (socket) => socket.ping()],
    ['messages', (socket) => socket.send('{"type":"news"}')],
    ['binary frames', (socket) => socket.send(Buffer.from('x'))],
  ])('[AGB-1] a flood of %s ends the connection, and the agent comes back', async (_name, send) => {
    const hub = await startHub();
    const { agent, clock, ends, register } = makeAgent(hub);
    await register();
    for (let frame = 0; frame <= HUB_BOUNDS.framesBurst + 10; frame += 1) send(hub.last.socket);
    await soon(() => ends.length === 1);
    expect(ends[0]).toMatchObject({ next: 'reconnect', reason: /frames a second/ });
    clock.tick(ends[0]?.retryInMs ?? 0);
    await soon(() => agent.state === 'registered');
  });

  it('[AGB-2] messages beyond a few a second are passed over', async () => {
    const hub = await startHub();
    const { agent, register, log } = makeAgent(hub);
    const timings: unknown[] = [];
    agent.on('timing', (timing) => timings.push(timing));
    await register();
    for (let count = 0; count < 300; count += 1) {
      hub.send(hub.last, { type: 'heartbeat', intervalMs: 1_000 + count, timeoutMs: 9_000 });
    }
    hub.last.socket.close(1012);
    await soon(() => agent.state === 're-registering');
    expect(timings.length).toBeLessThanOrEqual(HUB_BOUNDS.messagesBurst + 1);
    expect(log.length).toBeLessThan(120);
  });

  it.each([
    [{ type: 'heartbeat', intervalMs: 1, timeoutMs: 3 }],
    [{ type: 'heartbeat', intervalMs: 99, timeoutMs: 300 }],
    [{ type: 'heartbeat', intervalMs: 1_000, timeoutMs: 1e12 }],
    [{ type: 'move', withinMs: 1e12 }],
    [{ type: 'registered', nodeId: 'x'.repeat(300) }],
  ])('[AGB-3] %j is a wrong message', (message) => {
    expect(hubMessageSchema.safeParse(message).success).toBe(false);
  });

  it('[AGB-3] what a hub says in words is cut', () => {
    const error = hubMessageSchema.parse({
      type: 'error',
      code: 'c'.repeat(999),
      message: 'm'.repeat(9_999),
    });
    expect(JSON.stringify(error).length).toBeLessThan(700);
  });

  it.each([
    ['a redirect', 'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n'],
    ['headers without an end', `HTTP/1.1 101 Switching Protocols\r\n${'X: y\r\n'.repeat(20_000)}`],
    [
      'a body without an end',
      `HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n${'2000\r\n'}${'x'.repeat(8_192)}`,
    ],
    ['noise', '\u0016\u0003\u0001'.repeat(100)],
  ])('[AGB-4] %s in the place of an upgrade is a failed attempt', async (_name, answer) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.write(answer));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('it does not listen');
    const hub = await startHub();
    const { agent, ends } = makeAgent(hub, { hubUrl: `http://127.0.0.1:${address.port}` });
    agent.start().catch(() => {});
    await soon(() => ends.length === 1);
    expect(ends[0]?.next).toBe('reconnect');
    await agent.stop();
    server.close();
  });
});

describe('limitedLog', () => {
  it('[AGB-5] writes a line of one wording 30 times a minute, and says how many it left out', () => {
    const clock = new FakeClock();
    const lines: Array<[object, string]> = [];
    const write = (fields: object, message: string) => void lines.push([fields, message]);
    const log = limitedLog({ debug: write, info: write, warn: write, error: write }, clock);
    for (let count = 0; count < 1_000; count += 1) log.warn({ count }, 'The hub reported an error');
    log.info({}, 'another');
    expect(lines).toHaveLength(32);
    expect(lines[30]?.[1]).toMatch(/left out/);
    clock.tick(60_000);
    log.warn({}, 'The hub reported an error');
    expect(lines.at(-1)).toEqual([{ leftOut: 969 }, 'The hub reported an error']);
  });
});
