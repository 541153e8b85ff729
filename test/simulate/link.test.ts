import { createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Ended } from '../../agent/session/next-step.ts';
import { readAnswer } from '../../simulate/handshake.ts';
import { type DialOptions, dialSocket, type Link } from '../../simulate/link.ts';
import { deregisterFrame, registrationFrame } from '../../simulate/machine.ts';
import { slowDial } from '../../simulate/slow-link.ts';
import { Wheel } from '../../simulate/wheel.ts';
import { ScriptedHub } from '../agent/scripted-hub.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { until } from '../support/until.ts';
import { FakeLink } from './fake-links.ts';

const ends: Array<() => unknown> = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function startHub(script?: Parameters<typeof ScriptedHub.start>[0]): Promise<ScriptedHub> {
  const hub = await ScriptedHub.start(script);
  ends.push(() => hub.kill());
  return hub;
}

function dial(url: string, options: Partial<DialOptions> = {}) {
  const heard = { opened: 0, texts: [] as string[], pongs: 0, ended: [] as Ended[] };
  const link: Link = dialSocket(
    { url: new URL(url), known: false, ...options },
    {
      opened: () => {
        heard.opened += 1;
      },
      text: (text) => heard.texts.push(text),
      pong: () => {
        heard.pongs += 1;
      },
      ended: (how) => heard.ended.push(how),
    },
  );
  ends.push(() => link.reset());
  return { link, heard };
}

const register = registrationFrame(0, '6f7eb0f7-9d13-4a0f-bb6e-3a4f8d1f4f10', { prefix: 'sim', racks: 1 });

describe('a link', () => {
  it('[SIM-1] brings its token and says that it is known, registers and is heard', async () => {
    const hub = await startHub();
    const { link, heard } = dial(`${hub.url}/agent?x=1`, { token: 'secret', known: true });
    await until('it is open', () => heard.opened === 1);
    expect(hub.last).toMatchObject({
      path: '/agent?x=1',
      headers: { authorization: 'Bearer secret', 'rollcall-known': '1', 'sec-websocket-version': '13' },
    });
    link.write(register);
    await until('it is registered', () => heard.texts.length === 1);
    expect(hub.last.registers[0]?.node.nodeId).toBe('sim-1');
    link.write(Buffer.from([0x89, 0x80, 1, 2, 3, 4]));
    await until('its ping is answered', () => heard.pongs === 1);
    link.write(deregisterFrame);
    await until('the hub has closed', () => heard.ended.length === 1);
    expect(heard.ended).toEqual([{ kind: 'closed', code: 1000, reason: '' }]);
    expect(hub.last.messages.map(({ type }) => type)).toEqual(['register', 'deregister']);
  });

  it('answers a ping and a Close frame of the hub', async () => {
    const hub = await startHub();
    const { heard } = dial(`${hub.url}/agent`);
    await until('it is open', () => heard.opened === 1);
    const { socket } = hub.last;
    const ponged = new Promise((resolve) => socket.once('pong', (data) => resolve(data.toString())));
    socket.ping('are you there');
    expect(await ponged).toBe('are you there');
    socket.close(1012, 'the hub restarts');
    await until('it has ended', () => heard.ended.length === 1);
    expect(heard.ended).toEqual([{ kind: 'closed', code: 1012, reason: 'the hub restarts' }]);
    await until('the hub has its answer', () => hub.last.closed);
    expect(hub.last.closed).toMatchObject({ code: 1012, agentFirst: false });
  });

  it('[SIM-7] says goodbye with its own Close frame first', async () => {
    const hub = await startHub();
    const { link, heard } = dial(`${hub.url}/agent`);
    await until('it is open', () => heard.opened === 1);
    link.goodbye(1001);
    await until('both have closed', () => hub.last.closed && heard.ended.length === 1);
    expect(hub.last.closed).toMatchObject({ code: 1001, agentFirst: true });
    expect(heard.ended).toEqual([{ kind: 'closed', code: 1001, reason: '' }]);
  });

  it('is cut with a RST, and says nothing more', async () => {
    const errors: string[] = [];
    const server = await rawServer((socket) => {
      socket.on('error', (error) => errors.push('code' in error ? String(error.code) : error.message));
    });
    const { link, heard } = dial(server);
    await until('it is connected', () => heard.opened === 0 && connections === 1);
    link.reset();
    await until('the other end has seen it', () => errors.length > 0);
    expect(errors).toEqual(['ECONNRESET']);
    expect(heard.ended).toEqual([]);
  });

  it('[SIM-2] hears a refusal, with the time to wait', async () => {
    const hub = await startHub({ refuse: { status: 503, headers: { 'Retry-After': '3' } } });
    const { heard } = dial(`${hub.url}/agent`);
    await until('it has ended', () => heard.ended.length === 1);
    expect(heard.ended).toEqual([{ kind: 'refused', status: 503, retryAfterMs: 3_000 }]);
  });

  it('takes a hub that dies for a close without a code', async () => {
    const hub = await startHub();
    const { heard } = dial(`${hub.url}/agent`);
    await until('it is open', () => heard.opened === 1);
    hub.last.socket.terminate();
    await until('it has ended', () => heard.ended.length === 1);
    expect(heard.ended).toEqual([{ kind: 'closed', code: 1006, reason: '' }]);
  });

  it('says why nothing could be reached', async () => {
    const { heard } = dial('ws://127.0.0.1:1/agent');
    await until('it has ended', () => heard.ended.length === 1);
    expect(heard.ended).toEqual([{ kind: 'failed', message: 'ECONNREFUSED' }]);
  });

  it.each([
    [
      'HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: wrong\r\n\r\n',
      'a wrong Sec-WebSocket-Accept',
    ],
    ['220 mail.example ESMTP\r\n\r\n', 'no HTTP answer'],
    ['x'.repeat(20_000), 'no HTTP answer'],
  ])('is no WebSocket after %j', async (answer, message) => {
    const { heard } = dial(await rawServer((socket) => socket.write(answer)));
    await until('it has ended', () => heard.ended.length === 1);
    expect(heard.ended).toEqual([{ kind: 'failed', message }]);
  });
});

let connections = 0;
async function rawServer(onConnection: (socket: Socket) => void): Promise<string> {
  connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.on('error', () => {}).resume();
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => server.close());
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `ws://127.0.0.1:${address.port}/agent`;
}

it('the head of an answer is waited for, and retryAfterMs of its body wins over the header', () => {
  const text = 'HTTP/1.1 503 Busy\r\nRetry-After: 2\r\n\r\n{"retryAfterMs":1500}';
  expect(readAnswer(Buffer.from(text.slice(0, 30)))).toBeUndefined();
  expect(readAnswer(Buffer.from(text))).toEqual({ kind: 'refused', status: 503, retryAfterMs: 1_500 });
});

describe('[SIM-6] a slow link', () => {
  function slow(jitterMs = 0) {
    const clock = new FakeClock();
    const wheel = new Wheel(clock);
    wheel.start();
    const made: FakeLink[] = [];
    const heard: string[] = [];
    const world = { random: 0.5 };
    const link = slowDial(
      (options, listener) => {
        const link = new FakeLink(options, listener);
        made.push(link);
        return link;
      },
      { latencyMs: 200, jitterMs },
      { wheel, random: () => world.random, nowMs: () => clock.nowMs() },
    )(
      { url: new URL('ws://hub.test'), known: false },
      {
        opened: () => heard.push('opened'),
        text: (text) => heard.push(text),
        pong: () => heard.push('pong'),
        ended: () => heard.push('ended'),
      },
    );
    const [below] = made;
    if (!below) throw new Error('nothing was dialed');
    const pieces: number[] = [];
    below.write = (bytes) => void pieces.push(bytes.length);
    return { clock, link, below, heard, pieces, world };
  }

  it('delays both directions and keeps their order; frames leave in two pieces', () => {
    const { clock, link, below, heard, pieces } = slow();
    below.listener.opened();
    below.listener.text('one');
    link.write(Buffer.alloc(7));
    clock.tick(190);
    expect([heard, pieces]).toEqual([[], []]);
    clock.tick(20);
    expect([heard, pieces]).toEqual([
      ['opened', 'one'],
      [4, 3],
    ]);
    link.write(Buffer.alloc(2));
    link.goodbye(1000);
    expect(below.goodbyeCode).toBeUndefined();
    clock.tick(210);
    expect([pieces, below.goodbyeCode]).toEqual([[4, 3, 1, 1], 1000]);
  });

  it('adds its jitter, and nothing overtakes what left before it', () => {
    const { clock, below, heard, world } = slow(400);
    below.listener.pong();
    world.random = 0;
    below.listener.text('quicker');
    clock.tick(390);
    expect(heard).toEqual([]);
    clock.tick(20);
    expect(heard).toEqual(['pong', 'quicker']);
  });

  it('stops reading while much is on its way, and goes on after it', () => {
    const { clock, below, heard } = slow();
    for (let n = 0; n < 16; n += 1) below.listener.pong();
    expect(below.paused).toBe(true);
    clock.tick(210);
    expect([below.paused, heard.length]).toEqual([false, 16]);
  });

  it('holds only so much for a hub that does not read', () => {
    const { clock, link, pieces } = slow();
    for (let n = 0; n < 100; n += 1) link.write(Buffer.alloc(10));
    clock.tick(210);
    expect(pieces).toHaveLength(64);
  });

  it('forgets everything when it is cut', () => {
    const { clock, link, below, heard, pieces } = slow();
    below.listener.opened();
    link.write(Buffer.alloc(10));
    link.reset();
    clock.tick(1_000);
    expect([heard, pieces, below.wasReset]).toEqual([[], [], true]);
  });
});
